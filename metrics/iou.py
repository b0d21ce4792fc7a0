"""Pairs of detections and true boxes that overlap, found without a loop over images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from metrics.inputs import Bools, Detections, Floats, Ints, Truths

# Pairs examined at a time: bounds memory (about 100 bytes each) whatever the size of the data.
CHUNK = 200_000


@dataclass(frozen=True)
class Pairs:
    """Overlapping pairs, ordered by detection, then by truth.

    Attributes:
        detection: (P,) row of the detection.
        truth: (P,) row of the true box.
        iou: (P,) overlap in 0–1.
    """

    detection: Ints
    truth: Ints
    iou: Floats


def overlapping(
    truths: Truths,
    detections: Detections,
    minimum: float,
    *,
    same_class: bool,
    rows: Ints | None = None,
    plus_one: bool = False,
    crowd: bool = True,
) -> Pairs:
    """List the pairs of one image whose intersection over union is at least `minimum`.

    Args:
        truths: the annotated objects.
        detections: the predicted boxes.
        minimum: smallest overlap to list, > 0.
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
    found = []
    for part in _chunks(end - begin):
        counts = (end - begin)[part]
        # Position of each pair within its detection's run of true boxes.
        inner = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        detection = np.repeat(rows[part], counts)
        truth = order[np.repeat(begin[part], counts) + inner]
        crowded = truths.crowd[truth] if crowd else np.zeros(len(truth), dtype=bool)
        iou = box_iou(detections.boxes_xywh[detection], truths.boxes_xywh[truth], crowded, plus_one)
        keep = iou >= minimum
        found.append((detection[keep], truth[keep], iou[keep]))
    if not found:
        return Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    return Pairs(*(np.concatenate(column) for column in zip(*found, strict=True)))


def box_iou(detected: Floats, true: Floats, crowd: Bools, plus_one: bool = False) -> Floats:
    """Intersection over union of boxes, pair by pair.

    The order of the floating-point operations is that of pycocotools, so that an overlap that falls exactly on a
    threshold falls on the same side.

    Args:
        detected: (P, 4) left, top, width, height in pixels.
        true: (P, 4) likewise.
        crowd: (P,) divide by the detection's own area.
        plus_one: widths and heights count inclusive pixels.

    Returns:
        (P,) overlap in 0–1.
    """
    extra = 1.0 if plus_one else 0.0
    right = np.minimum(detected[:, 2] + detected[:, 0], true[:, 2] + true[:, 0])
    width = right - np.maximum(detected[:, 0], true[:, 0]) + extra
    bottom = np.minimum(detected[:, 3] + detected[:, 1], true[:, 3] + true[:, 1])
    height = bottom - np.maximum(detected[:, 1], true[:, 1]) + extra
    shared = width * height
    area = (detected[:, 2] + extra) * (detected[:, 3] + extra)
    union = np.where(crowd, area, area + (true[:, 2] + extra) * (true[:, 3] + extra) - shared)
    overlap = np.zeros(len(shared))
    np.divide(shared, union, out=overlap, where=(width > 0) & (height > 0) & (union > 0))
    return overlap


def _chunks(counts: Ints) -> Iterator[slice]:
    """Consecutive slices of at most about CHUNK pairs each."""
    total = np.cumsum(counts)
    start = 0
    while start < len(counts):
        done = int(total[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(total, done + CHUNK, "right")))
        yield slice(start, stop)
        start = stop
