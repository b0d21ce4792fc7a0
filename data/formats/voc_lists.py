"""Read the lists of PASCAL VOC trees: ImageSets/Main/x.txt of ids, and lists of images as other tools write them."""

from pathlib import Path

from data.config import Source, is_path
from data.errors import DataError
from data.formats.foreign_paths import endings
from data.image_files.image_probe import SUFFIXES
from data.records import Issue
from data.text_files import decode_text, without_quotes

XML_FOLDERS = ("Annotations", "annotations")


def list_file(source: Source) -> Path:
    """Return the list of ids or the folder that a source means.

    Raises:
        DataError: if there is none.
    """
    path = source.path
    if path is None:
        raise DataError(f"{source.annotations}: a JSON file needs format: coco")
    short = path.parent / "ImageSets" / "Main" / f"{path.name}.txt"
    for candidate in (path, short, path.with_suffix(".txt")):
        if candidate.is_dir() or (candidate.is_file() and len(candidate.parents) > 2):
            return candidate
    raise DataError(f"{path}: no such list or folder (nor {short}); put the VOC tree there or use --data-root")


def read_ids(file: Path, issues: list[Issue]) -> list[str]:
    """Return the ids of a list in ImageSets/Main; of one of images, their paths without suffix.

    The devkit's class lists have a second column, −1, 0 or 1; an id may end in a number too, `photo 1`. The column is
    one where every line has it and no id would occur twice without; else a line counts whole where such a file exists.
    """
    lines = decode_text(file.read_bytes(), file).splitlines()
    bare = [_without_flag(line) for line in lines if line.strip()]
    every_line = all(stem is not None for stem in bare) and len(set(bare)) == len(bare)
    home = home_of(file)
    ids = []
    for number, line in enumerate(lines, 1):
        stem = line.strip()
        if not stem:
            continue
        stem = _entry(stem, home, every_line)
        listed = is_path(stem + ".xml")
        if not listed or ("/" in stem and not (home / stem).is_file()):
            text = f"names {stem}, which is not there" if listed else "is not an image id"
            issues.append(Issue(file, number, "bad-path", text, "line skipped"))
            continue
        ids.append(_without_suffix(stem))
    return ids


def _entry(line: str, home: Path, flagged: bool) -> str:
    """Return the id, or the path of an image or XML, that a line of a list names.

    Args:
        line: without space around it.
        home: folder that the list belongs to.
        flagged: whether every line of the list ends in what may be a flag.
    """
    xmls, entry, columns = annotations(home), line, line.split()
    if len(columns) == 2 and columns[1].lower().endswith(".xml") and is_path(line) and (home / columns[1]).is_file():
        return columns[1].removeprefix("./")  # an image and its XML, as PaddleDetection lists them
    without = _without_flag(line)
    if without is not None and (not _has_xml(xmls, line) or (flagged and _has_xml(xmls, without))):
        entry = without
    unquoted = without_quotes(entry)
    if unquoted and unquoted != entry and not _has_xml(xmls, _without_suffix(entry)):
        entry = unquoted
    entry = entry.replace("\\", "/").removeprefix("./")
    if "/" in entry and is_path(entry) and not (home / entry).is_file():
        moved = (str(ending) for ending in endings(entry, relative=True))
        return next((ending for ending in moved if (home / ending).is_file()), entry)
    return entry


def _without_suffix(stem: str) -> str:
    return stem[: -len(Path(stem).suffix)] if Path(stem).suffix.lower() in {*SUFFIXES, ".xml"} else stem


def _without_flag(line: str) -> str | None:
    """Return a line without its last column, if that is a flag of the devkit; None if there is none."""
    columns = line.split()
    return line.strip()[: -len(columns[-1])].rstrip() if len(columns) > 1 and columns[-1] in ("-1", "0", "1") else None


def _has_xml(annotations: Path, stem: str) -> bool:
    return is_path(f"{stem}.xml") and "/" not in stem and (annotations / f"{stem}.xml").is_file()


def home_of(list_file: Path) -> Path:
    """Return the folder that a list belongs to: above ImageSets/Main, or where the list lies."""
    if list_file.parent.parent.name == "ImageSets":
        return list_file.parents[2]
    near = (folder for folder in list_file.parents[:3] if annotations(folder) != folder)
    return next(near, list_file.parent)


def annotations(home: Path) -> Path:
    """Return the folder of a tree's XML files: the one of that name, else the tree itself."""
    return next((home / name for name in XML_FOLDERS if (home / name).is_dir()), home)
