"""Compute PASCAL VOC's average precision: the 11-point form of 2007 and the area form of 2010 and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from metrics.average_precision import envelope, mean_defined
from metrics.inputs import Bools, Detections, Floats, Ints, Truths, read_detections, read_truths
from metrics.iou import overlapping

# Steps of 0.1 added up in floating point, as in the devkit: the fourth is 0.30000000000000004, which a recall of 3/10
# does not reach. Rounded recalls would give other numbers than those that have been published.
ELEVEN_RECALLS: Floats = np.arange(0.0, 1.1, 0.1)


def voc_ap(
    gt: Mapping[str, Any] | Truths,
    detections: Sequence[Mapping[str, Any]] | Detections,
    use_07: bool = False,
    iou: float = 0.5,
    plus_one: bool = False,
) -> dict[str, Any]:
    """Compute PASCAL VOC's AP of each class and their mean.

    Every detection is compared with the one object of its class that it overlaps most; the first that gets an object
    is right, later ones are wrong, and those on a `difficult` object do not count. There is no limit on the number of
    detections, and `iscrowd` is not looked at.

    Args:
        gt: COCO ground-truth dictionary whose annotations may say `difficult`, or its columns.
        detections: COCO results, or their columns. Ties in score keep the order given.
        use_07: mean of the precision at 11 recalls (VOC2007) rather than the area under the curve (VOC2010 and after).
        iou: overlap that a right detection must exceed, 0 < iou < 1.
        plus_one: count pixels inclusively as the devkit does, for boxes that are given by whole-pixel corners.

    Returns:
        mAP: mean over the classes that have objects, 0–1 (-1 when none has); per_class: AP by class name (-1 for a
        class without objects); truths and detections: their number by class name, difficult objects not counted.

    Raises:
        ValueError: if a row of the input is unusable or `iou` is outside (0, 1).

    Source:
        Everingham et al., IJCV 2010 and the devkits of 2007 and 2012. Differs: overlap must be greater than `iou`, as
        in the widely used Python port, where the devkit also accepts an equal one.
    """
    if not 0 < iou < 1:
        raise ValueError(f"iou={iou} is not between 0 and 1")
    truths = read_truths(gt)
    columns = read_detections(detections, truths)
    right, ignored = match_voc(truths, columns, iou, plus_one)
    order = np.lexsort((-columns.score, columns.category))
    order = order[~ignored[order]]
    edges = np.searchsorted(columns.category[order], np.arange(len(truths.names) + 1))
    positives = np.bincount(truths.category[~truths.difficult], minlength=len(truths.names))
    ap = np.array(
        [_ap(right[order[a:b]], n, use_07) for a, b, n in zip(edges[:-1], edges[1:], positives.tolist(), strict=True)]
    )
    counts = np.bincount(columns.category, minlength=len(truths.names))
    mean = mean_defined(ap)
    return {
        "mAP": -1.0 if np.isnan(mean) else mean,
        "per_class": dict(zip(truths.names, np.where(np.isnan(ap), -1.0, ap).tolist(), strict=True)),
        "truths": dict(zip(truths.names, positives.tolist(), strict=True)),
        "detections": dict(zip(truths.names, counts.tolist(), strict=True)),
    }


def match_voc(truths: Truths, detections: Detections, iou: float, plus_one: bool = False) -> tuple[Bools, Bools]:
    """Match as the VOC devkit does.

    Args:
        truths: annotated objects.
        detections: predictions.
        iou: IoU to exceed.
        plus_one: inclusive pixels.

    Returns:
        right, ignored: each (D,), in input order.
    """
    right, ignored = np.zeros(len(detections), dtype=bool), np.zeros(len(detections), dtype=bool)
    pairs = overlapping(truths, detections, iou, same_class=True, plus_one=plus_one, crowd=False)
    above = pairs.iou > iou
    detection, truth, iou_of_pair = pairs.detection[above], pairs.truth[above], pairs.iou[above]
    # The object that each detection overlaps most, the first annotated one of equals.
    order = np.lexsort((truth, -iou_of_pair, detection))
    first = order[_first_of_runs(detection[order])]
    detection, truth = detection[first], truth[first]
    hard = truths.difficult[truth]
    ignored[detection[hard]] = True
    detection, truth = detection[~hard], truth[~hard]
    # Of the detections of one object the first by score gets it.
    order = np.lexsort((detection, -detections.score[detection], truth))
    right[detection[order[_first_of_runs(truth[order])]]] = True
    return right, ignored


def _first_of_runs(values: Ints) -> Ints:
    """Return the positions where a sorted array takes a new value >= 0."""
    return np.flatnonzero(np.diff(values, prepend=-1))


def _ap(right: Bools, positives: int, use_07: bool) -> float:
    """Return AP of one class from detections by falling score, difficult ones left out; NaN without objects."""
    if positives == 0:
        return float("nan")
    hits = np.cumsum(right)
    recall = hits / positives
    precision = hits / np.arange(1, len(right) + 1)
    if use_07:
        at_least = [precision[recall >= t] for t in ELEVEN_RECALLS]
        return float(sum(part.max(initial=0.0) for part in at_least) / len(ELEVEN_RECALLS))
    steps = np.diff(recall, prepend=0.0)
    return float((steps * envelope(precision)).sum()) if len(right) else 0.0
