"""Read YOLO text: images in folders or lists, one label file an image, rows `class cx cy w h` relative to the image."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from data.config import Source, is_path
from data.errors import DataError
from data.formats.boxes import RawObjects, make_record
from data.image_probe import SUFFIXES, ImageMetadata, probe_all, sniff
from data.records import Issue, Split

_MAX_LABEL = 16 << 20  # bytes of one label file; 100 000 boxes take 4 MB
_MAX_LIST = 512 << 20  # bytes of one list of images

Probe = Callable[[Sequence[Path]], list[ImageMetadata]]


def read_split(
    name: str, sources: Sequence[Source], names: tuple[str, ...], root: Path, probe: Probe = probe_all
) -> Split:
    """Read one split of a YOLO data set.

    Args:
        name: the split's name.
        sources: folders (searched to any depth), lists of images (.txt) or globs.
        names: class names.
        root: the folder that list entries refer to.
        probe: how the images' metadata are read.

    Raises:
        DataError: if a file or folder does not exist or has no images.
    """
    split = Split(name)
    paths = [path for source in sources for path in find_images(source, root, split.issues)]
    if not paths:
        paths_text = ", ".join(str(source.path) for source in sources)
        raise DataError(f"{paths_text}: no images for split '{name}'; expected files such as .jpg or .png")
    for path, metadata in zip(paths, probe(paths), strict=True):
        split.issues.extend(metadata.issues)
        if not metadata.width:
            continue
        raw = read_labels(label_path(path), metadata.width, metadata.height, len(names), split.issues)
        record = make_record(path, metadata.width, metadata.height, raw, split.issues)
        record.image_id = len(split.records)
        split.records.append(record)
    return split


def find_images(source: Source, root: Path, issues: list[Issue]) -> list[Path]:
    """The images of one source, sorted within a folder, in written order within a list.

    Raises:
        DataError: if the file or folder does not exist.
    """
    path = source.path
    if path is None:
        raise DataError(f"{source.annotations}: a JSON file needs format: coco")
    if path.is_dir():
        return _walk(path, issues)
    if path.is_file():
        return [path.absolute()] if path.suffix.lower() in SUFFIXES else _read_list(path, root, issues)
    if any(letter in path.name for letter in "*?["):
        base, pattern = _split_glob(path)
        paths = sorted(base.glob(pattern))
        if paths:
            return [path for path in paths if _usable_name(path, issues)]
    raise DataError(
        f"{path}: no such folder or list of images; put the data there or name their folder with --data-root"
    )


def label_path(image: Path) -> Path:
    """The label file of an image: the last folder `images` becomes `labels`, else it lies beside the image."""
    parts = list(image.parts)
    for index in range(len(parts) - 2, -1, -1):
        if parts[index] == "images":
            parts[index] = "labels"
            break
    return Path(*parts).with_suffix(".txt")


def read_labels(file: Path, width: int, height: int, nc: int, issues: list[Issue]) -> RawObjects:
    """Rows of one label file as pixel boxes; rows that say nothing usable leave an Issue.

    A row of a class and at least three points (a segmentation label) becomes the box around them.
    """
    raw = RawObjects(file)
    try:
        if file.exists() and not file.is_file():  # reading a pipe would wait for its other end
            issues.append(Issue(file, None, "unreadable-label", "is no file", "no boxes used"))
            return raw
        if file.stat().st_size > _MAX_LABEL:
            issues.append(Issue(file, None, "unreadable-label", f"over {_MAX_LABEL >> 20} MB", "no boxes used"))
            return raw
        text = file.read_text(encoding="utf-8-sig", errors="replace")
    except FileNotFoundError:
        issues.append(Issue(file, None, "no-label", "there is no label file", "used as an image without objects"))
        return raw
    except OSError as error:
        issues.append(Issue(file, None, "unreadable-label", error.strerror or str(error), "no boxes used"))
        return raw
    for number, line in enumerate(text.splitlines(), 1):
        columns = line.split()
        if columns:
            _read_row(raw, number, columns, (width, height), nc, issues)
    return raw


def _read_row(
    raw: RawObjects, number: int, columns: list[str], size: tuple[int, int], nc: int, issues: list[Issue]
) -> None:
    def drop(kind: str, text: str) -> None:
        issues.append(Issue(raw.file, number, kind, text, "dropped"))

    polygon = len(columns) >= 7 and len(columns) % 2 == 1
    if len(columns) != 5 and not polygon:
        return drop("columns", f"{len(columns)} columns; expected 5: class cx cy w h")
    try:
        values = [float(column) for column in columns]
    except ValueError:
        shown = next(column for column in columns if not _is_number(column))
        return drop("not-a-number", f"{shown[:40]!r} is not a number; expected class cx cy w h")
    if not (values[0].is_integer() and 0 <= values[0] < nc):
        return drop("unknown-class", f"class {columns[0][:40]}; the data YAML has 0 … {nc - 1}")
    width, height = size
    with np.errstate(over="ignore", invalid="ignore"):
        if polygon:
            xs, ys = np.array(values[1::2]) * width, np.array(values[2::2]) * height
            box = (float(xs.min()), float(ys.min()), float(xs.max()), float(ys.max()))
            issues.append(Issue(raw.file, number, "polygon", f"outline of {len(xs)} points", "box around it used"))
        else:
            cx, cy, w, h = values[1:]
            box = ((cx - w / 2) * width, (cy - h / 2) * height, (cx + w / 2) * width, (cy + h / 2) * height)
    raw.add(number, int(values[0]), box)
    return None


def _is_number(column: str) -> bool:
    try:
        float(column)
    except ValueError:
        return False
    return True


def _walk(folder: Path, issues: list[Issue]) -> list[Path]:
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
        paths += [here / name for name in sorted(files) if _usable_name(here / name, issues)]
    return [path.absolute() for path in paths]


def _usable_name(path: Path, issues: list[Issue]) -> bool:
    """Whether a file counts as an image by its suffix; an image without one is reported."""
    if path.name.startswith("."):
        return False
    if path.suffix.lower() in SUFFIXES:
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
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise DataError(f"{file}: is no text file; expected a folder or a list of image paths") from None
    paths = []
    for number, line in enumerate(lines, 1):
        entry = line.strip()
        if not entry:
            continue
        if not is_path(entry):
            issues.append(Issue(file, number, "bad-path", "is not a path", "line skipped"))
            continue
        tried = [file.parent / entry] if entry.startswith("./") else [root / entry, file.parent / entry]
        paths.append(next((path for path in tried if path.exists()), tried[0]).absolute())
    return paths


def _split_glob(path: Path) -> tuple[Path, str]:
    fixed: list[str] = []
    for index, part in enumerate(path.parts):
        if any(letter in part for letter in "*?["):
            return Path(*fixed), str(Path(*path.parts[index:]))
        fixed.append(part)
    return path.parent, path.name
