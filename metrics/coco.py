"""Compute COCO's twelve detection numbers, over all classes and for each class, on any data set."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from metrics.average_precision import average_precision, mean_defined
from metrics.inputs import Detections, Floats, Truths, read_detections, read_truths
from metrics.matching import IGNORED, IOU_THRESHOLDS, RIGHT, SIZES, MatchTable, best_rows, match

STAT_NAMES = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")
RECALL_MAX_DETS = (1, 10, 100)
EVALUATORS = ("table", "faster-coco-eval", "pycocotools")


def coco_metrics(
    gt: Mapping[str, Any] | Truths,
    detections: Sequence[Mapping[str, Any]] | Detections,
    evaluator: str = "table",
) -> dict[str, Any]:
    """Compute COCO's twelve numbers.

    Args:
        gt: COCO ground-truth dictionary (images, annotations, categories), or its columns.
        detections: COCO results (image_id, category_id, bbox [x, y, width, height], score), or their columns.
        evaluator: "table" is our own matching, which also serves every other number; "faster-coco-eval" and
            "pycocotools" run those libraries instead, for a second opinion. All agree to 1e-12.

    Returns:
        AP, AP50, AP75, APs, APm, APl, AR1, AR10, AR100, ARs, ARm, ARl in 0–1, or -1 where there is no such object, as
        the reference says it; per_class: for each class name the same keys and the number of `truths` (crowds not
        counted) and `detections`.

    Raises:
        ValueError: if a row of the input is unusable (unknown image or class, NaN, negative size) or the evaluator
            is unknown.

    Source:
        cocodataset.org/#detection-eval; pycocotools 2.0.11.
    """
    if evaluator not in EVALUATORS:
        raise ValueError(f"evaluator {evaluator!r} is unknown; choose one of {', '.join(EVALUATORS)}")
    truths = read_truths(gt)
    columns = read_detections(detections, truths)
    if evaluator == "table":
        return coco_from_table(match(truths, columns))
    return _library_numbers(evaluator, truths, columns)


def coco_from_table(table: MatchTable) -> dict[str, Any]:
    """Compute the same numbers from a match table; see `coco_metrics`."""
    shape = (len(table.names), len(SIZES), len(IOU_THRESHOLDS))
    precision, recall = np.full(shape, np.nan), np.full(shape, np.nan)
    limited = np.full((len(table.names), len(RECALL_MAX_DETS), len(IOU_THRESHOLDS)), np.nan)
    positives = np.stack([table.positives(a) for a in range(len(SIZES))])
    slices = table.class_slices()
    for k, rows in enumerate(slices):
        states = table.state[:, :, rows]
        for a in np.flatnonzero(positives[:, k]):
            for t, state in enumerate(states[a]):
                right = state[state != IGNORED] == RIGHT
                precision[k, a, t] = average_precision(right, int(positives[a, k]))
            recall[k, a] = (states[a] == RIGHT).sum(1) / positives[a, k]
        if positives[0, k]:
            for m, max_det in enumerate(RECALL_MAX_DETS):
                right = states[0][:, table.rank[rows] < max_det] == RIGHT
                limited[k, m] = right.sum(1) / positives[0, k]
    counts = [int(rows.stop - rows.start) for rows in slices]
    return _summary(precision, recall, limited, [str(n) for n in table.names], positives[0].tolist(), counts)


def _summary(
    precision: Floats, recall: Floats, limited: Floats, names: list[str], truths: list[int], detections: list[int]
) -> dict[str, Any]:
    """Return twelve numbers from AP (K, A, T), AR by size (K, A, T) and AR by number of detections (K, 3, T)."""

    def numbers(p: Floats, r: Floats, m: Floats) -> dict[str, float]:
        parts = [p[:, 0], p[:, 0, :1], p[:, 0, 5:6], p[:, 1], p[:, 2], p[:, 3]]
        parts += [m[:, 0], m[:, 1], m[:, 2], r[:, 1], r[:, 2], r[:, 3]]
        values = (mean_defined(part) for part in parts)
        return {name: -1.0 if np.isnan(value) else value for name, value in zip(STAT_NAMES, values, strict=True)}

    result: dict[str, Any] = numbers(precision, recall, limited)
    result["per_class"] = {
        name: {
            **numbers(precision[k : k + 1], recall[k : k + 1], limited[k : k + 1]),
            "truths": truths[k],
            "detections": detections[k],
        }
        for k, name in enumerate(names)
    }
    return result


def _library_numbers(evaluator: str, truths: Truths, detections: Detections) -> dict[str, Any]:
    """Return the twelve numbers as a library computes them, on plain ids from 1 (pycocotools takes id 0 for a miss)."""
    if evaluator == "pycocotools":
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    else:
        from faster_coco_eval import COCO
        from faster_coco_eval import COCOeval_faster as COCOeval
    truth, predicted = COCO(), COCO()
    lists = {
        "images": [{"id": i} for i in range(1, len(truths.image_ids) + 1)],
        "categories": [{"id": k, "name": name} for k, name in enumerate(truths.names, 1)],
    }
    truth.dataset = {**lists, "annotations": _plain(truths, area=truths.area, iscrowd=truths.crowd.astype(np.int64))}
    boxes = detections.boxes_xywh
    area, nothing = boxes[:, 2] * boxes[:, 3], np.zeros(len(boxes), dtype=np.int64)
    predicted.dataset = {**lists, "annotations": _plain(detections, area=area, iscrowd=nothing, score=detections.score)}
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        predicted.createIndex()
        run = COCOeval(truth, predicted, "bbox")
        run.evaluate()
        run.accumulate()
    # The libraries' axes: precision (T, R, K, A, M), recall (T, K, A, M); -1 where nothing is to be found.
    precision, recall = np.array(run.eval["precision"]), np.array(run.eval["recall"])
    ap = np.where(precision > -1, precision, np.nan)[..., -1].mean(1)  # (T, K, A)
    ar = np.where(recall > -1, recall, np.nan)
    classes = range(len(truths.names))
    best, _ = best_rows(truths, detections)
    taking_part = np.bincount(detections.category[best], minlength=len(truths.names))
    return _summary(
        ap.transpose(1, 2, 0),
        ar[..., -1].transpose(1, 2, 0),
        ar[:, :, 0].transpose(1, 2, 0),
        list(truths.names),
        [int((~truths.crowd & (truths.category == k)).sum()) for k in classes],
        [int(taking_part[k]) for k in classes],
    )


def _plain(rows: Truths | Detections, **columns: npt.NDArray[Any]) -> list[dict[str, Any]]:
    """Return annotations in the libraries' form."""
    names = ("image_id", "category_id", "bbox", *columns)
    values = [(rows.image + 1).tolist(), (rows.category + 1).tolist(), rows.boxes_xywh.tolist()]
    values += [column.tolist() for column in columns.values()]
    return [{"id": i, **dict(zip(names, row, strict=True))} for i, row in enumerate(zip(*values, strict=True), 1)]
