"""Join the labels of two data sets: boxes that agree once, boxes that only one has, and conflicts between both."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from data.errors import DataError
from data.files import file_hash
from data.records import Dataset, Record, Split

_SHOWN = 5  # names of classes in a line


@dataclass(frozen=True)
class Conflict:
    """A box of the second data set that overlaps one of another class in the first, which stands.

    Attributes:
        file: the image, as in the first data set.
        split: in which it is there.
        name, other: class in the first and in the second.
        iou: of the two boxes, 0 to 1.
        box_xyxy, other_xyxy: the two boxes in pixels.
    """

    file: Path
    split: str
    name: str
    other: str
    iou: float
    box_xyxy: tuple[float, ...]
    other_xyxy: tuple[float, ...]


@dataclass
class Joined:
    """Two data sets as one, and what became of the second's boxes and images."""

    dataset: Dataset
    conflicts: list[Conflict] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


def join(first: Dataset, second: Dataset, iou_thres: float = 0.5) -> Joined:
    """Join a data set with another, whose labels count less: those of a model, say.

    Images are the same where their files hold the same bytes. In such an image a box of the second that overlaps one of
    the first by `iou_thres` is the same object: of the same class it is left out, of another it is a conflict, and the
    first's stands. All others are added, but not in images of the first's val and test, which stay what they measure.
    Images that the first does not have are added to the split that they are in; those of a split that repeat an earlier
    one of the second (val: the training images) are not.

    Args:
        first: the data set whose labels stand.
        second: the other; its classes are the first's where names agree, further ones are added.
        iou_thres: overlap of boxes of one object, above 0.

    Raises:
        DataError: if their images have other channels.
    """
    if first.channels != second.channels:
        raise DataError(
            f"{first.name} has images of {first.channels} channels, {second.name} of {second.channels}: not joined"
        )
    names, numbers = _common_names(first, second)
    known = _by_content(first, second)
    joined = Joined(replace(first, names=names, splits={}))
    splits = {name: replace(split, records=list(split.records), issues=[]) for name, split in first.splits.items()}
    added = list(names.values())[len(first.names) :]
    if added:
        joined.counts[f"classes added ({', '.join(added[:_SHOWN])}{' …' * (len(added) > _SHOWN)})"] = len(added)
    seen: set[Path] = set()
    for name in sorted(second.splits, key=("train", "val", "test").index):
        for record in second.splits[name]:
            if record.path in seen:
                joined.counts["images repeated in the second left out"] += 1
                continue
            seen.add(record.path)
            ours = replace(record, classes=numbers[record.classes])
            place = known.get(record.path)
            if place is None:
                split = splits.setdefault(name, Split(name, channels=first.channels))
                split.records.append(replace(ours, image_id=-1 - len(seen)))
                joined.counts["images added"] += 1
                joined.counts["boxes of added images"] += len(record)
            elif place[0] != "train":
                joined.counts["images of val or test left as they are"] += 1
            else:
                records = splits["train"].records
                records[place[1]] = _joined(records[place[1]], ours, iou_thres, joined, names)
    joined.dataset.splits.update(splits)
    return joined


def _joined(record: Record, other: Record, iou_thres: float, joined: Joined, names: dict[int, str]) -> Record:
    """Return an image's record with the boxes of another one of it."""
    overlaps = pairwise_iou(other.boxes_xyxy, record.boxes_xyxy)
    added = []
    for index, overlap in enumerate(overlaps):
        near = np.flatnonzero(overlap >= iou_thres)
        if not len(near):
            added.append(index)
            joined.counts["boxes added to images that had labels"] += 1
        elif (record.classes[near] == other.classes[index]).any():
            joined.counts["boxes that agree"] += 1
        else:
            best = int(near[overlap[near].argmax()])
            name, theirs = names[int(record.classes[best])], names[int(other.classes[index])]
            boxes = tuple(record.boxes_xyxy[best].tolist()), tuple(other.boxes_xyxy[index].tolist())
            joined.conflicts.append(Conflict(record.path, "train", name, theirs, float(overlap[best]), *boxes))
    columns: dict[str, Any] = {
        key: np.concatenate([getattr(record, key), getattr(other, key)[added]])
        for key in ("classes", "boxes_xyxy", "difficult", "crowd", "area")
    }
    return replace(record, **columns)


def pairwise_iou(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the IoU (n, m) of boxes (n, 4) and others (m, 4), corners in pixels; `metrics` is beside, not below."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    inter = (high - low).clip(0).prod(2)
    areas = [(part[:, 2:] - part[:, :2]).prod(1) for part in (boxes, others)]
    return inter / np.maximum(areas[0][:, None] + areas[1][None] - inter, 1e-12)


def _common_names(first: Dataset, second: Dataset) -> tuple[dict[int, str], np.ndarray]:
    """Return the names of both, and for each class number of the second its number among them."""
    names = dict(first.names)
    number_of = {name: number for number, name in reversed(names.items())}
    for name in second.names.values():
        if name not in number_of:
            number_of[name] = len(names)
            names[len(names)] = name
    return names, np.array([number_of[second.names[number]] for number in sorted(second.names)], np.int64)


def _by_content(first: Dataset, second: Dataset) -> dict[Path, tuple[str, int]]:
    """Return for each image of the second that the first has too its split and position there."""
    sizes = defaultdict(list)
    for name, split in first.splits.items():
        for position, record in enumerate(split):
            sizes[record.path.stat().st_size].append((record.path, (name, position)))
    places: dict[Path, tuple[str, int]] = {}
    hashes: dict[Path, str] = {}
    for path in _paths(second):
        alike = sizes.get(path.stat().st_size, [])
        for theirs, place in alike:
            if _hash(path, hashes) == _hash(theirs, hashes):
                places[path] = place
                if place[0] != "train":  # an image of val or test is one, wherever else it is
                    break
    return places


def _paths(dataset: Dataset) -> Iterable[Path]:
    return dict.fromkeys(record.path for record in dataset)


def _hash(path: Path, hashes: dict[Path, str]) -> str:
    if path not in hashes:
        hashes[path] = file_hash(path)
    return hashes[path]
