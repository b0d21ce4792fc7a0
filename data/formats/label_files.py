"""Find the label file of an image, and say what lies nearby where no image has one."""

import os
from collections.abc import Sequence
from pathlib import Path

from data.image_files.image_probe import SUFFIXES
from data.records import Issue

ELSEWHERE = "labels-elsewhere"  # kind of the Issue of a split of which no image has labels where they are looked for
USED = "used as an image without objects"  # what is done with an image that has no label file
_LABELS = frozenset({".txt", ".xml", ".json"})
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
    return beside if beside != usual and not usual.exists() and beside.is_file() else usual


def labels_elsewhere(images: Sequence[Path], root: Path) -> Issue | None:
    """Return the issue of a split without a single label file, where files of the images' names lie nearby.

    Args:
        images: its images.
        root: the data set's folder, which is searched for such files.
    """
    near = _nearby(images, root)
    if not near:
        return None
    usual, beside = label_path(images[0]), images[0].with_suffix(".txt")
    looked = f"{usual}" if usual == beside else f"{usual} and {beside}"
    shown = ", ".join(str(path) for path in near[:_SHOWN]) + (" …" if len(near) > _SHOWN else "")
    text = (
        f"none of {len(images)} images has a label file; looked for {looked}; {len(near)} files of the images' names "
        f"lie nearby: {shown}; name them so, or move them there"
    )
    return Issue(images[0].parent, None, ELSEWHERE, text, "no boxes")


def _nearby(images: Sequence[Path], root: Path) -> list[Path]:
    """Find files that might hold the images' labels: of the same stem, or of the image's name and one more suffix."""
    base = root if images[0].is_relative_to(root) else images[0].parent.parent
    names = {image.stem for image in images} | {image.name for image in images}
    found: list[Path] = []
    seen = 0
    for folder, folders, files in os.walk(base):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = Path(folder) / name
            if path.suffix.lower() in _LABELS and path.suffix.lower() not in SUFFIXES and path.stem in names:
                found.append(path)
        seen += len(files)
        if seen > _SEARCHED:
            break
    return found
