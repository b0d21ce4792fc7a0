"""Hold a data set in memory, in one form, whatever it was read from."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing found wrong, or worth knowing, in the user's files.

    Args:
        file: where it was found.
        row: line (YOLO, from 1), object (VOC, from 1) or annotation id (COCO); None when the whole file is meant.
        kind: short name of the fault, see docs/data.md.
        message: what was found and what was expected.
        action: what was done about it, e.g. "dropped", "clipped", "image skipped".
    """

    file: Path
    row: int | str | None
    kind: str
    message: str
    action: str

    def __str__(self) -> str:
        where = f"{self.file}" if self.row is None else f"{self.file} row {self.row}"
        return f"{where}: {self.message} ({self.kind}: {self.action})"


@dataclass(slots=True, eq=False)
class Record:
    """One image and its objects.

    Shape:
        classes (n,) int64; boxes_xyxy (n, 4) float64; difficult, crowd (n,) bool; area (n,) float64.

    Units:
        width, height: pixels as data/image_files/image_io.py shows the image, that is after its EXIF rotation.
        boxes_xyxy: continuous pixel coordinates of that image, (0, 0) is the outer corner of the first pixel,
        0 ≤ x1 < x2 ≤ width. area: square pixels; COCO's own figure (of the segmentation) where there is one.
    """

    path: Path
    width: int
    height: int
    classes: np.ndarray
    boxes_xyxy: np.ndarray
    difficult: np.ndarray
    crowd: np.ndarray
    area: np.ndarray
    image_id: int = -1  # COCO's own id, or the position in the split

    def __len__(self) -> int:
        return len(self.classes)


@dataclass(slots=True)
class Split:
    """The images of one split, in a fixed order, and what was found wrong on the way.

    `not_kept` counts what the files say beyond boxes and this form does not hold, such as outlines and poses;
    `channels` is how many the images have.
    """

    name: str
    records: list[Record] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)
    not_kept: Counter[str] = field(default_factory=Counter)
    channels: int = 3

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records)

    def summary(self) -> dict[tuple[str, str], int]:
        """Count the issues by (kind, action), the most frequent first."""
        return dict(Counter((issue.kind, issue.action) for issue in self.issues).most_common())


@dataclass(slots=True)
class Dataset:
    """A data set as read: class names and the splits that were asked for.

    Args:
        name: the YAML's name without suffix, or the folder's.
        names: class number → name, numbered from 0 without gaps.
        format: "yolo", "voc" or "coco".
        splits: split name → images.
        category_ids: class number → category id of the COCO JSON; empty for other formats.
    """

    name: str
    names: dict[int, str]
    format: str
    splits: dict[str, Split]
    category_ids: dict[int, int] = field(default_factory=dict)

    @property
    def nc(self) -> int:
        """Number of classes."""
        return len(self.names)

    @property
    def channels(self) -> int:
        """Channels of its images."""
        return next((split.channels for split in self.splits.values()), 3)

    @property
    def records(self) -> list[Record]:
        """The images of all splits that were read."""
        return [record for split in self.splits.values() for record in split.records]

    @property
    def issues(self) -> list[Issue]:
        """The issues of all splits that were read."""
        return [issue for split in self.splits.values() for issue in split.issues]

    def __getitem__(self, split: str) -> Split:
        return self.splits[split]

    def __len__(self) -> int:
        return sum(len(split) for split in self.splits.values())

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records)

    def summary(self) -> str:
        """Return a line for each split: images, boxes, and the issues counted by kind and action."""
        lines = []
        for split in self.splits.values():
            boxes = sum(map(len, split.records))
            counts = ", ".join(f"{number} {kind} ({action})" for (kind, action), number in split.summary().items())
            lines.append(f"{split.name}: {len(split)} images, {boxes} boxes" + (f"; {counts}" if counts else ""))
        return "\n".join(lines)
