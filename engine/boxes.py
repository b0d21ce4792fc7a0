"""From a model's output to boxes in the picture, in NumPy: no torch, so that detection starts in a moment."""

from collections.abc import Sequence

import numpy as np

APART = 7680.0  # pixels by which boxes of different classes are moved apart


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

    Args:
        boxes: (n, 4) corners.
        scores: (n,).
        overlap: intersection over union above which a box is dropped.
        limit: stop after so many.
    """
    order = np.argsort(-scores, kind="stable")
    x1, y1, x2, y2 = boxes[order].T.copy()
    area = (x2 - x1) * (y2 - y1)
    alive = np.arange(len(order))
    kept: list[int] = []
    while len(alive) and len(kept) < limit:
        best = alive[0]
        kept.append(order[best])
        width = np.minimum(x2[alive], x2[best]) - np.maximum(x1[alive], x1[best])
        height = np.minimum(y2[alive], y2[best]) - np.maximum(y1[alive], y1[best])
        shared = width.clip(min=0) * height.clip(min=0)
        with np.errstate(invalid="ignore"):  # two boxes without area: not a number, which suppresses nothing
            ratio = shared / (area[alive] + area[best] - shared)
        ratio[0] = np.inf  # the box itself, also when it has no area
        alive = alive[~(ratio > overlap)]
    return np.array(kept, np.int64)
