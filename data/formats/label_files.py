"""Find the label file of an image, and say what lies nearby where no image has one."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from data.formats.foreign_paths import other_accents
from data.image_files.image_probe import SUFFIXES
from data.records import Issue

ELSEWHERE = "labels-elsewhere"  # kind of the Issue of a split of which no image has labels where they are looked for
USED = "used as an image without objects"  # what is done with an image that has no label file
_LABELS = frozenset({".txt", ".xml", ".json"})
_ADVICE = {
    ".txt": "name them so, or move them there",
    ".xml": "if they are PASCAL VOC's, put them beside the images",
    ".json": "JSON files of one image each are not read: export YOLO, VOC or COCO",
}
_READ_AS_VOC = frozenset({"Annotations", "annotations", "labels"})  # folders that voc.py looks for beside the images
_SEARCHED = 50_000  # files looked at for others of the images' names
_SHOWN = 3


def label_path(image: Path) -> Path:
    """Return the label file of an image: the last folder `images` becomes `labels`, else it lies beside the image."""
    parts = list(image.parts)
    for index in range(len(parts) - 2, -1, -1):
        if parts[index] == "images":
            parts[index] = "labels"
            break
    return Path(*parts).with_suffix(".txt")


def find_label(image: Path) -> Path:
    """Return the label file that an image has: in `labels`, else beside it; without any, the one in `labels`."""
    usual, beside = label_path(image), image.with_suffix(".txt")
    if beside != usual and not usual.exists() and beside.is_file():
        return beside
    if not usual.name.isascii() and not usual.exists():
        others = (place.with_name(name) for place in (usual, beside) for name in other_accents(place.name))
        return next((other for other in others if other.is_file()), usual)
    return usual


def labels_elsewhere(images: Sequence[Path], root: Path) -> Issue | None:
    """Return the issue of a split without a single label file, where files of the images' names lie nearby.

    Args:
        images: its images.
        root: the data set's folder, which is searched for such files.
    """
    near, tables = _nearby(images, root)
    if not near and not tables:
        return None
    usual, beside = label_path(images[0]), images[0].with_suffix(".txt")
    looked = f"{usual}" if usual == beside else f"{usual} and {beside}"
    shown = ", ".join(str(path) for path in near[:_SHOWN]) + (" …" if len(near) > _SHOWN else "")
    if near:
        advice = _ADVICE[near[0].suffix.lower()]
        if near[0].suffix.lower() == ".xml" and not _READ_AS_VOC.isdisjoint(near[0].parts):
            advice = "if they are PASCAL VOC's, write format: voc into the data YAML"
        lie = f"{len(near)} files of the images' names lie nearby: {shown}; {advice}"
    else:
        lie = f"nearby lies {tables[0]}: if it is COCO's, write it as the split in place of the images"
    text = f"none of {len(images)} images has a label file; looked for {looked}; {lie}"
    return Issue(images[0].parent, None, ELSEWHERE, text, "no boxes")


def _nearby(images: Sequence[Path], root: Path) -> tuple[list[Path], list[Path]]:
    """Find files that might hold the images' labels.

    Returns:
        Those of the same stem, or of the image's name and one more suffix; and JSON files of other names.
    """
    base = root if images[0].is_relative_to(root) else images[0].parent.parent
    names = {image.stem for image in images} | {image.name for image in images}
    found: list[Path] = []
    tables: list[Path] = []
    seen = 0
    for folder, folders, files in os.walk(base):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = Path(folder) / name
            if path.suffix.lower() in _LABELS and path.suffix.lower() not in SUFFIXES and path.stem in names:
                found.append(path)
            elif path.suffix.lower() == ".json":
                tables.append(path)
        seen += len(files)
        if seen > _SEARCHED:
            break
    return found, sorted(tables, key=lambda path: not re.search("coco|instance|annotation", path.name.lower()))
