"""Find files that belong to a data set but that no split uses: labels without an image, annotations in no list."""

from pathlib import Path

from data.config import DataConfig
from data.formats.label_files import find_label, label_path
from data.formats.voc import find_pairs
from data.formats.yolo import find_images
from data.records import Dataset, Issue


def find_unlisted_files(config: DataConfig, dataset: Dataset) -> list[tuple[str, Issue]]:
    """List (split, issue) for label files without image (YOLO) and annotation files in no list (VOC)."""
    if dataset.format == "yolo":
        return _yolo(config)
    if dataset.format == "voc":
        return _voc(config)
    return []


def _yolo(config: DataConfig) -> list[tuple[str, Issue]]:
    """Search folders only: a list of images may leave out what it wants."""
    issues = []
    for name, sources in config.splits.items():
        for source in sources:
            if source.path is None or not source.path.is_dir():
                continue
            wanted = {find_label(image) for image in find_images(source, config.root, [], config.channels != 3)}
            folder = label_path(source.path / "x").parent
            for file in sorted(folder.rglob("*.txt")) if folder.is_dir() else []:
                if file not in wanted and file.name not in ("classes.txt", "labels.txt"):
                    issue = Issue(file, None, "no-image", "label file without an image", "not used")
                    issues.append((name, issue))
    return issues


def _voc(config: DataConfig) -> list[tuple[str, Issue]]:
    used: set[Path] = set()
    for sources in config.splits.values():
        for source in sources:
            used |= {xml for _, xml in find_pairs(source, [])}
    split = next(iter(config.splits))
    text = "annotation file that no split lists"
    return [
        (split, Issue(file, None, "unlisted", text, "not used"))
        for folder in sorted({xml.parent for xml in used})
        for file in sorted(folder.glob("*.xml"))
        if file not in used
    ]
