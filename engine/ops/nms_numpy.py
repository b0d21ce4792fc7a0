"""Non-maximum suppression in NumPy: without torch, detection starts in a moment."""

from collections.abc import Sequence

import numpy as np

from metrics.iou import iou_matrix

APART = 7680.0  # pixels by which boxes of different classes are moved apart
BLOCK = 128  # boxes taken at once in suppression


def filter_by_confidence(output: np.ndarray, conf_thres: float) -> list[np.ndarray]:
    """Filter a model's output by confidence.

    Args:
        output: (B, 4 + nc, N) centre x, centre y, width, height in pixels, then class scores.
        conf_thres: score above which the best class of a row must be.

    Returns:
        For each image (m, 4 + nc).
    """
    best = output[:, 4:].max(1)
    return [image.T[keep] for image, keep in zip(output, best > conf_thres, strict=True)]


def image_nms(
    rows: np.ndarray, conf_thres: float, iou_thres: float, max_det: int, classes: Sequence[int] | None, agnostic: bool
) -> np.ndarray:
    """Run non-maximum suppression on one image; a box has its best class.

    Args:
        rows: (m, 4 + nc), as `filter_by_confidence` returns.
        conf_thres: score above which a box must be.
        iou_thres: intersection over union above which the lower score is dropped.
        max_det: boxes at most.
        classes: only these, None for all.
        agnostic: boxes of different classes suppress each other too.

    Returns:
        (n, 6): corners in pixels, score, class; best first.
    """
    class_number = rows[:, 4:].argmax(1)
    score = rows[np.arange(len(rows)), 4 + class_number]
    keep = score > conf_thres
    if classes is not None:
        keep &= np.isin(class_number, classes)
    rows, class_number, score = rows[keep], class_number[keep], score[keep]
    half = rows[:, 2:4] / 2
    corners = np.concatenate([rows[:, :2] - half, rows[:, :2] + half], 1)
    moved = corners if agnostic else corners + class_number[:, None] * APART
    kept = greedy_nms(moved, score, iou_thres, max_det)
    return np.concatenate([corners, score[:, None], class_number[:, None]], 1)[kept].astype(np.float32)


def passing_rows(rows: np.ndarray, conf_thres: float, max_det: int, classes: Sequence[int] | None) -> np.ndarray:
    """Return the wanted rows of a model that suppresses by itself, best first.

    Args:
        rows: (n, 6): corners in pixels, score, class.
        conf_thres: score above which a box must be.
        max_det: boxes at most.
        classes: only these, None for all.
    """
    keep = rows[:, 4] > conf_thres
    if classes is not None:
        keep &= np.isin(rows[:, 5].astype(int), classes)
    rows = rows[keep]
    return rows[np.argsort(-rows[:, 4], kind="stable")][:max_det]


def greedy_nms(boxes: np.ndarray, scores: np.ndarray, iou_thres: float, max_det: int) -> np.ndarray:
    """Run greedy suppression and return the indices of the boxes that it keeps, best first, at most `max_det`.

    Boxes are taken in blocks, best first, each compared with all that are kept so far and then within itself: boxes
    that come after the last kept one are never looked at, and the arithmetic is on matrices.

    Args:
        boxes: (n, 4) corners.
        scores: (n,).
        iou_thres: intersection over union above which a box is dropped.
        max_det: stop after so many.
    """
    order = np.argsort(-scores, kind="stable")
    ordered = boxes[order]
    kept = np.empty(min(max_det, len(order)), np.int64)
    count = 0
    for start in range(0, len(order), BLOCK):
        block = np.arange(start, min(start + BLOCK, len(order)))
        if count:
            block = block[~(iou_matrix(ordered[kept[:count]], ordered[block]) > iou_thres).any(0)]
        block = block[_best_within(ordered[block], iou_thres)][: len(kept) - count]
        kept[count : count + len(block)] = block
        count += len(block)
        if count == len(kept):
            break
    return order[kept[:count]]


def _best_within(boxes: np.ndarray, iou_thres: float) -> np.ndarray:
    """Return which of ordered boxes (n, 4) greedy suppression keeps, (n,) of bool."""
    suppresses = np.triu(iou_matrix(boxes, boxes) > iou_thres, 1)
    alive = np.ones(len(boxes), bool)
    for row in np.flatnonzero(suppresses.any(1)):
        if alive[row]:
            alive &= ~suppresses[row]
    return alive
