"""Read YOLO text: images in folders or lists, one label file an image, rows `class cx cy w h` relative to the image."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from data.config import Source, is_path
from data.errors import DataError, NotUtf8Error
from data.folders import find_matching
from data.formats.boxes import make_record
from data.formats.foreign_paths import endings, other_accents
from data.formats.label_files import find_label, labels_elsewhere
from data.formats.label_rows import read_labels
from data.image_files.image_channels import ARRAYS
from data.image_files.image_probe import SUFFIXES, ImageMetadata, probe_all, sniff
from data.records import Issue, Split
from data.text_files import decode_text, without_quotes

_MAX_LIST = 512 << 20  # bytes of one list of images

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
    conf_thres: float | None = None,
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
        conf_thres: of rows with a confidence; None uses none of them.

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
        raw = read_labels(label, metadata.width, metadata.height, nc, split.issues, conf_thres)
        record = make_record(path, metadata.width, metadata.height, raw, split.issues)
        record.image_id = len(split.records)
        split.records.append(record)
    if split.records and len(without_label) == len(split.records):
        elsewhere = labels_elsewhere(without_label, root)
        split.issues[:0] = [elsewhere] if elsewhere else []
    return split


def find_images(source: Source, root: Path, issues: list[Issue], arrays: bool = False) -> list[Path]:
    """Return the images of one source, sorted within a folder, in written order within a list.

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
    paths = find_matching(path)
    folders = [path for path in paths if path.is_dir()]
    if len(folders) < len(paths):
        return [path for path in paths if _usable_name(path, issues, arrays)]
    if folders:
        found = [path for folder in folders for path in _walk(folder, issues, arrays)]
        return _without_copies(found) if arrays else found
    raise DataError(
        f"{path}: no such folder or list of images; put the data there or name their folder with --data-root"
    )


def _without_copies(paths: list[Path]) -> list[Path]:
    """Leave out NumPy files beside an image of their name."""
    others = {path.with_suffix("") for path in paths if path.suffix.lower() != ARRAYS}
    return [path for path in paths if path.suffix.lower() != ARRAYS or path.with_suffix("") not in others]


def _walk(folder: Path, issues: list[Issue], arrays: bool) -> list[Path]:
    """Return all images below a folder, links followed, loops not."""
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
    """Tell whether a file counts as an image by its suffix; an image without one is reported."""
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
    """Read the paths in a text list: relative to the list (./…), or to the data set's folder, or to the list again."""
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
        if not paths[-1].exists():
            _refuse_more_columns(entry, number, file, root)
    return paths


def _refuse_more_columns(entry: str, number: int, file: Path, root: Path) -> None:
    """Refuse a list of another system, with boxes or a class behind the path of an image.

    Raises:
        DataError: saying what to write instead.
    """
    image, *others = entry.split()
    if others and Path(image).suffix.lower() in SUFFIXES and list_entry(image, file, root).is_file():
        raise DataError(
            f"{file}: line {number} has {' '.join(others)[:40]} behind the image {image}; write the path alone, and "
            "the boxes into a label file of the image's name, a row `class cx cy w h` each"
        )


def _list_text(file: Path) -> str:
    content = file.read_bytes()
    try:
        text = decode_text(content, file)
    except DataError as error:
        if b"\0" in content:
            text = ""
        else:
            raise NotUtf8Error(f"{error}; expected a folder or a list of images") from None
    if content and (b"\0" in content[:4096] and "." not in text):
        raise DataError(f"{file}: is no text file; expected a folder or a list of image paths")
    return text


def list_entry(entry: str, file: Path, root: Path) -> Path:
    """Return the image that a line of a list means.

    Where it does not exist as written, it is looked for without quotes and the comma behind it, and with `\\` as `/`;
    of a name that holds on another machine, or below another folder, the longest ending that exists counts.
    """
    bare = without_quotes(entry)
    tried: list[Path] = []
    spellings = (entry, bare or entry, *other_accents(bare))
    for name in dict.fromkeys((*spellings, *(name.replace("\\", "/") for name in spellings))):
        tried += [file.parent / name] if name.startswith("./") else [root / name, file.parent / name]
    existing = next((path for path in tried if path.exists()), None)
    if existing is None:
        moved = (base / ending for base in (root, file.parent) for ending in endings(bare, relative=True))
        existing = next((path for path in moved if path.is_file()), None)
    return (existing or tried[0]).absolute()
