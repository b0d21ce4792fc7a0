"""Compute the intersection over union of boxes in NumPy, and find the pairs that overlap without a loop over images.

On tensors the libraries do it: ultralytics' `bbox_iou` in the losses and torchvision's `nms` on a GPU. One function of
our own is left there, in models/losses/simota.py, where torchvision's `box_iou` would compare every box with every one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:  # detection, which only needs the formulas, starts sooner
    from metrics.inputs import Bools, Detections, Floats, Ints, Truths

Array = npt.NDArray[np.floating]
Sides = tuple[Array, Array, Array, Array]  # left, top, right, bottom

# Pairs examined at a time: bounds memory (about 100 bytes each) whatever the size of the data.
CHUNK = 200_000


@dataclass(frozen=True)
class Pairs:
    """Overlapping pairs, ordered by detection, then by truth.

    Attributes:
        detection: (P,) row of the detection.
        truth: (P,) row of the true box.
        iou: (P,) IoU in 0–1.
    """

    detection: Ints
    truth: Ints
    iou: Floats


def overlapping(
    truths: Truths,
    detections: Detections,
    iou_thres: float,
    *,
    same_class: bool,
    rows: Ints | None = None,
    plus_one: bool = False,
    crowd: bool = True,
) -> Pairs:
    """List the pairs of one image whose intersection over union is at least `iou_thres`.

    Args:
        truths: the annotated objects.
        detections: the predicted boxes.
        iou_thres: smallest IoU to list, > 0.
        same_class: whether only pairs of one class are wanted.
        rows: detections to look at; all when None.
        plus_one: count inclusive pixels, as the PASCAL VOC devkit does: a box from 3 to 5 is 3 wide.
        crowd: divide by the detection's own area where the truth is a crowd, as COCO does.

    Returns:
        The pairs. Boxes that only touch do not overlap (with `plus_one` they share a pixel).
    """
    rows = np.arange(len(detections)) if rows is None else rows
    classes = len(truths.names)
    truth_group = truths.image * classes + truths.category if same_class else truths.image
    order = np.argsort(truth_group, kind="stable")
    groups = truth_group[order]
    wanted = detections.image[rows] * classes + detections.category[rows] if same_class else detections.image[rows]
    begin, end = np.searchsorted(groups, wanted, "left"), np.searchsorted(groups, wanted, "right")
    chunks = []
    for part in _chunks(end - begin):
        counts = (end - begin)[part]
        # Position of each pair within its detection's run of true boxes.
        inner = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        detection = np.repeat(rows[part], counts)
        truth = order[np.repeat(begin[part], counts) + inner]
        crowded = truths.crowd[truth] if crowd else np.zeros(len(truth), dtype=bool)
        iou = iou_of_pairs(detections.boxes_xywh[detection], truths.boxes_xywh[truth], crowded, plus_one)
        keep = iou >= iou_thres
        chunks.append((detection[keep], truth[keep], iou[keep]))
    if not chunks:
        return Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    return Pairs(*(np.concatenate(column) for column in zip(*chunks, strict=True)))


def iou_of_pairs(detected: Floats, true: Floats, crowd: Bools, plus_one: bool = False) -> Floats:
    """Compute the intersection over union of boxes, pair by pair.

    The order of the floating-point operations is that of pycocotools, so that an IoU that falls exactly on a
    threshold falls on the same side.

    Args:
        detected: (P, 4) left, top, width, height in pixels.
        true: (P, 4) likewise.
        crowd: (P,) divide by the detection's own area.
        plus_one: widths and heights count inclusive pixels.

    Returns:
        (P,) IoU in 0–1.
    """
    extra = 1.0 if plus_one else 0.0
    width, height = _intersection(_sides(detected), _sides(true))
    width += extra
    height += extra
    shared = width * height
    area = (detected[:, 2] + extra) * (detected[:, 3] + extra)
    union = np.where(crowd, area, area + (true[:, 2] + extra) * (true[:, 3] + extra) - shared)
    overlap = np.zeros(len(shared))
    np.divide(shared, union, out=overlap, where=(width > 0) & (height > 0) & (union > 0))
    return overlap


def iou_matrix(some: Array, others: Array) -> Array:
    """Compute the intersection over union of every box with every one.

    Args:
        some: (n, 4) left, top, right, bottom.
        others: (m, 4) likewise.

    Returns:
        (n, m) IoU in 0–1, in the boxes' dtype; NaN where neither has area.
    """
    x1, y1, x2, y2 = some.T[:, :, None]
    left, top, right, bottom = np.ascontiguousarray(others.T)
    shared, height = _intersection((x1, y1, x2, y2), (left, top, right, bottom))
    shared = shared.clip(0, out=shared)
    shared *= height.clip(0, out=height)
    with np.errstate(invalid="ignore"):
        overlap: Array = shared / ((x2 - x1) * (y2 - y1) + (right - left) * (bottom - top) - shared)
    return overlap


def _intersection(one: Sides, other: Sides) -> tuple[Array, Array]:
    """Return width and height of what boxes that broadcast share, in new arrays; below 0 where they lie apart."""
    width = np.minimum(one[2], other[2])
    width -= np.maximum(one[0], other[0])
    height = np.minimum(one[3], other[3])
    height -= np.maximum(one[1], other[1])
    return width, height


def _sides(boxes_xywh: Array) -> Sides:
    left, top, width, height = boxes_xywh.T
    return left, top, width + left, height + top


def _chunks(counts: Ints) -> Iterator[slice]:
    """Cut into consecutive slices of at most about CHUNK pairs each."""
    total = np.cumsum(counts)
    start = 0
    while start < len(counts):
        done = int(total[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(total, done + CHUNK, "right")))
        yield slice(start, stop)
        start = stop
