"""From a model's output to boxes in the image, in NumPy: no torch, so that detection starts in a moment."""

from collections.abc import Sequence

import numpy as np

from metrics.iou import iou_matrix

APART = 7680.0  # pixels by which boxes of different classes are moved apart
BLOCK = 128  # boxes taken at once in suppression


def confident(output: np.ndarray, least: float) -> list[np.ndarray]:
    """Keep the rows that can matter.

    Args:
        output: (B, 4 + nc, N) centre x, centre y, width, height in pixels, then class scores.
        least: score above which the best class of a row must be.

    Returns:
        For each image (m, 4 + nc).
    """
    best = output[:, 4:].max(1)
    return [image.T[keep] for image, keep in zip(output, best > least, strict=True)]


def select(
    rows: np.ndarray, least: float, overlap: float, limit: int, classes: Sequence[int] | None, agnostic: bool
) -> np.ndarray:
    """Drop the lower of overlapping boxes; a box has its best class.

    Args:
        rows: (m, 4 + nc), as `confident` returns.
        least: score.
        overlap: intersection over union above which the lower score is dropped.
        limit: boxes at most.
        classes: only these, None for all.
        agnostic: boxes of different classes suppress each other too.

    Returns:
        (n, 6): corners in pixels, score, class; best first.
    """
    kind = rows[:, 4:].argmax(1)
    score = rows[np.arange(len(rows)), 4 + kind]
    keep = score > least
    if classes is not None:
        keep &= np.isin(kind, classes)
    rows, kind, score = rows[keep], kind[keep], score[keep]
    half = rows[:, 2:4] / 2
    corners = np.concatenate([rows[:, :2] - half, rows[:, :2] + half], 1)
    moved = corners if agnostic else corners + kind[:, None] * APART
    kept = best_boxes(moved, score, overlap, limit)
    return np.concatenate([corners, score[:, None], kind[:, None]], 1)[kept].astype(np.float32)


def best_boxes(boxes: np.ndarray, scores: np.ndarray, overlap: float, limit: int) -> np.ndarray:
    """Return the indices that greedy suppression keeps, best first, at most `limit`.

    Boxes are taken in blocks, best first, each compared with all that are kept so far and then within itself: boxes
    that come after the last kept one are never looked at, and the arithmetic is on matrices.

    Args:
        boxes: (n, 4) corners.
        scores: (n,).
        overlap: intersection over union above which a box is dropped.
        limit: stop after so many.
    """
    order = np.argsort(-scores, kind="stable")
    ordered = boxes[order]
    kept = np.empty(min(limit, len(order)), np.int64)
    count = 0
    for start in range(0, len(order), BLOCK):
        block = np.arange(start, min(start + BLOCK, len(order)))
        if count:
            block = block[~(iou_matrix(ordered[kept[:count]], ordered[block]) > overlap).any(0)]
        block = block[_best_within(ordered[block], overlap)][: len(kept) - count]
        kept[count : count + len(block)] = block
        count += len(block)
        if count == len(kept):
            break
    return order[kept[:count]]


def _best_within(boxes: np.ndarray, overlap: float) -> np.ndarray:
    """Return which of ordered boxes (n, 4) greedy suppression keeps, (n,) of bool."""
    suppresses = np.triu(iou_matrix(boxes, boxes) > overlap, 1)
    alive = np.ones(len(boxes), bool)
    for row in np.flatnonzero(suppresses.any(1)):
        if alive[row]:
            alive &= ~suppresses[row]
    return alive
