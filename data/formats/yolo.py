"""Read YOLO text: images in folders or lists, one label file an image, rows `class cx cy w h` relative to the image."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from data.config import Source, is_path
from data.errors import DataError
from data.formats.boxes import RawObjects, make_record
from data.formats.label_files import USED, find_label, labels_elsewhere
from data.image_channels import ARRAYS
from data.image_probe import SUFFIXES, ImageMetadata, probe_all, sniff
from data.records import Issue, Split
from data.text_files import declared_encoding, decode_text

_MAX_LABEL = 16 << 20  # bytes of one label file; 100 000 boxes take 4 MB
_MAX_LIST = 512 << 20  # bytes of one list of images
_MOST = 2.0  # a part of the image above which a row is in pixels; slips over the edge stay below

Probe = Callable[[Sequence[Path]], list[ImageMetadata]]


def read_split(
    name: str,
    sources: Sequence[Source],
    names: tuple[str, ...],
    root: Path,
    probe: Probe = probe_all,
    *,
    single_class: bool = False,
    arrays: bool = False,
) -> Split:
    """Read one split of a YOLO data set.

    Args:
        name: the split's name.
        sources: folders (searched to any depth), lists of images (.txt) or globs.
        names: class names.
        root: the folder that list entries refer to.
        probe: how the images' metadata are read.
        single_class: classes are one: a number that `names` does not have counts as the first.
        arrays: NumPy files (.npy) count as images; one beside an image of its name is ultralytics' copy, and does not.

    Raises:
        DataError: if a file or folder does not exist or has no images.
    """
    split = Split(name)
    without_label = []
    paths = [path for source in sources for path in find_images(source, root, split.issues, arrays)]
    if not paths:
        paths_text = ", ".join(str(source.path) for source in sources)
        raise DataError(f"{paths_text}: no images for split '{name}'; expected files such as .jpg or .png")
    for path, metadata in zip(paths, probe(paths), strict=True):
        split.issues.extend(metadata.issues)
        if not metadata.width:
            continue
        label = find_label(path)
        if not label.exists():
            without_label.append(path)
        nc = None if single_class else len(names)
        raw = read_labels(label, metadata.width, metadata.height, nc, split.issues)
        record = make_record(path, metadata.width, metadata.height, raw, split.issues)
        record.image_id = len(split.records)
        split.records.append(record)
    if split.records and len(without_label) == len(split.records):
        elsewhere = labels_elsewhere(without_label, root)
        split.issues[:0] = [elsewhere] if elsewhere else []
    return split


def find_images(source: Source, root: Path, issues: list[Issue], arrays: bool = False) -> list[Path]:
    """The images of one source, sorted within a folder, in written order within a list.

    Raises:
        DataError: if the file or folder does not exist.
    """
    path = source.path
    if path is None:
        raise DataError(f"{source.annotations}: a JSON file needs format: coco")
    if path.is_dir():
        return _without_copies(_walk(path, issues, arrays)) if arrays else _walk(path, issues, arrays)
    if path.is_file():
        return [path.absolute()] if path.suffix.lower() in SUFFIXES else _read_list(path, root, issues)
    if any(letter in path.name for letter in "*?["):
        base, pattern = _split_glob(path)
        paths = sorted(base.glob(pattern))
        if paths:
            return [path for path in paths if _usable_name(path, issues, arrays)]
    raise DataError(
        f"{path}: no such folder or list of images; put the data there or name their folder with --data-root"
    )


def read_labels(file: Path, width: int, height: int, nc: int | None, issues: list[Issue]) -> RawObjects:
    """Rows of one label file as pixel boxes; rows that say nothing usable leave an Issue.

    A row of a class and at least three points (a segmentation label) becomes the box around them; of a row with a box
    and key points (a pose label), the box is used.

    Args:
        file: the label file.
        width: of the image in pixels.
        height: likewise.
        nc: number of classes; None where all are one: a class may then have any number.
        issues: list to which faults are appended.
    """
    raw = RawObjects(file)
    try:
        if file.exists() and not file.is_file():  # reading a pipe would wait for its other end
            issues.append(Issue(file, None, "unreadable-label", "is no file", "no boxes used"))
            return raw
        if file.stat().st_size > _MAX_LABEL:
            issues.append(Issue(file, None, "unreadable-label", f"over {_MAX_LABEL >> 20} MB", "no boxes used"))
            return raw
        text = _label_text(file.read_bytes())
    except FileNotFoundError:
        issues.append(Issue(file, None, "no-label", "there is no label file", USED))
        return raw
    except OSError as error:
        issues.append(Issue(file, None, "unreadable-label", error.strerror or str(error), "no boxes used"))
        return raw
    for number, line in enumerate(text.splitlines(), 1):
        columns = line.split()
        if columns:
            _read_row(raw, number, columns, (width, height), nc, issues)
    return raw


def _label_text(content: bytes) -> str:
    """Decode a label file: numbers, so that of other encodings only those that keep them readable matter."""
    encoding = declared_encoding(content)
    if encoding.startswith(("utf-16", "utf-32")):  # PowerShell writes them
        text = content.decode(encoding, errors="replace")
        if text and text.isascii():
            return text
    return content.decode("utf-8-sig", errors="replace")


def _read_row(
    raw: RawObjects, number: int, columns: list[str], size: tuple[int, int], nc: int | None, issues: list[Issue]
) -> None:
    def drop(kind: str, text: str) -> None:
        issues.append(Issue(raw.file, number, kind, text, "dropped"))

    pose = _is_pose(columns)
    polygon = not pose and len(columns) >= 7 and len(columns) % 2 == 1
    if len(columns) != 5 and not polygon and not pose:
        return drop("columns", f"{len(columns)} columns; expected 5: class cx cy w h")
    try:
        values = [float(column) for column in columns]
    except ValueError:
        shown = next(column for column in columns if not _is_number(column))
        return drop("not-a-number", f"{shown[:40]!r} is not a number; expected class cx cy w h")
    if not (values[0].is_integer() and values[0] >= 0 and (nc is None or values[0] < nc)):
        has = f"the data YAML has 0 … {nc - 1}" if nc is not None else "expected a whole number of at least 0"
        return drop("unknown-class", f"class {columns[0][:40]}; {has}")
    if _in_pixels(values[1:5] if pose else values[1:]):
        shown = " ".join(columns[1:5])[:60]
        return drop("not-normalised", f"box {shown} is in pixels; divide x and w by {size[0]}, y and h by {size[1]}")
    if pose:
        text = f"a box and {(len(columns) - 5) // 3} key points"
        issues.append(Issue(raw.file, number, "pose", text, "the box used, the points not"))
    elif polygon:
        text = f"outline of {len(columns) // 2} points"
        issues.append(Issue(raw.file, number, "polygon", text, "box around it used"))
    raw.add(number, int(values[0]) if nc is not None else 0, _box(values, size, polygon))
    return None


def _box(values: list[float], size: tuple[int, int], polygon: bool) -> tuple[float, float, float, float]:
    """Corners in pixels of a row's box, or of the box around its points."""
    width, height = size
    with np.errstate(over="ignore", invalid="ignore"):
        if polygon:
            xs, ys = np.array(values[1::2]) * width, np.array(values[2::2]) * height
            return float(xs.min()), float(ys.min()), float(xs.max()), float(ys.max())
        cx, cy, w, h = values[1:5]
        return (cx - w / 2) * width, (cy - h / 2) * height, (cx + w / 2) * width, (cy + h / 2) * height


def _is_pose(columns: list[str]) -> bool:
    """Whether a row is a box and key points x y v: every third number behind the box is a visibility, 0, 1 or 2."""
    points = len(columns) - 5
    return points >= 3 and points % 3 == 0 and all(_is_visibility(column) for column in columns[7::3])


def _is_visibility(column: str) -> bool:
    return _is_number(column) and float(column) in (0.0, 1.0, 2.0)


def _in_pixels(values: list[float]) -> bool:
    """Whether numbers are pixels, not parts of the image: most of them are above 1, and some far above."""
    if not all(0 <= value < np.inf for value in values):
        return False
    return max(values) > _MOST and 2 * sum(value > 1 for value in values) >= len(values)


def _is_number(column: str) -> bool:
    try:
        float(column)
    except ValueError:
        return False
    return True


def _without_copies(paths: list[Path]) -> list[Path]:
    """Leave out NumPy files beside an image of their name."""
    others = {path.with_suffix("") for path in paths if path.suffix.lower() != ARRAYS}
    return [path for path in paths if path.suffix.lower() != ARRAYS or path.with_suffix("") not in others]


def _walk(folder: Path, issues: list[Issue], arrays: bool) -> list[Path]:
    """All images below a folder, links followed, loops not."""
    paths, seen = [], set()
    for base, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(base)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        here = Path(base)
        issues.extend(
            Issue(here / name, None, "not-a-file", "a folder named like an image", "not used as an image")
            for name in folders
            if Path(name).suffix.lower() in SUFFIXES
        )
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__MACOSX")
        paths += [here / name for name in sorted(files) if _usable_name(here / name, issues, arrays)]
    return [path.absolute() for path in paths]


def _usable_name(path: Path, issues: list[Issue], arrays: bool) -> bool:
    """Whether a file counts as an image by its suffix; an image without one is reported."""
    if path.name.startswith("."):
        return False
    if path.suffix.lower() in SUFFIXES or (arrays and path.suffix.lower() == ARRAYS):
        return True
    if path.suffix.lower() not in (".txt", ".xml", ".json", ".yaml", ".yml", ".csv", ".cache", ".md", ".npy"):
        kind = sniff(path)
        if kind:
            text = f"is a {kind} image but has no image suffix; rename it to be used"
            issues.append(Issue(path, None, "no-suffix", text, "image skipped"))
    return False


def _read_list(file: Path, root: Path, issues: list[Issue]) -> list[Path]:
    """Paths in a text list: relative to the list (./…), or to the data set's folder, or to the list again."""
    if file.stat().st_size > _MAX_LIST:
        raise DataError(f"{file}: larger than {_MAX_LIST >> 20} MB; expected a list of image paths")
    paths = []
    for number, line in enumerate(_list_text(file).splitlines(), 1):
        entry = line.strip()
        if not entry:
            continue
        if not is_path(entry):
            issues.append(Issue(file, number, "bad-path", "is not a path", "line skipped"))
            continue
        paths.append(list_entry(entry, file, root))
    return paths


def _list_text(file: Path) -> str:
    content = file.read_bytes()
    try:
        text = decode_text(content, file)
    except DataError as error:
        if b"\0" in content:
            text = ""
        else:
            raise DataError(f"{error}; expected a folder or a list of image paths") from None
    if content and (b"\0" in content[:4096] and "." not in text):
        raise DataError(f"{file}: is no text file; expected a folder or a list of image paths")
    return text


def list_entry(entry: str, file: Path, root: Path) -> Path:
    """The image that a line of a list means; where it does not exist as written, `\\` is tried as `/`."""
    spellings = [entry, entry.replace("\\", "/")] if "\\" in entry else [entry]
    tried = []
    for name in spellings:
        tried += [file.parent / name] if name.startswith("./") else [root / name, file.parent / name]
    return next((path for path in tried if path.exists()), tried[0]).absolute()


def _split_glob(path: Path) -> tuple[Path, str]:
    fixed: list[str] = []
    for index, part in enumerate(path.parts):
        if any(letter in part for letter in "*?["):
            return Path(*fixed), str(Path(*path.parts[index:]))
        fixed.append(part)
    return path.parent, path.name
