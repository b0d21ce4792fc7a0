"""Compute average precision from the positions of the right detections."""

from __future__ import annotations

import numpy as np

from metrics.inputs import Bools, Floats, Ints

RECALLS: Floats = np.linspace(0.0, 1.0, 101)
EPS = float(np.spacing(1))


def precision_recall(right: Bools, positives: int) -> tuple[Floats, Floats]:
    """Return precision and recall after each right detection.

    Args:
        right: (D,) detections by falling score, ignored ones left out: whether each found an object.
        positives: objects to be found, > 0.

    Returns:
        precision and recall, each (number of right detections,).
    """
    at = np.flatnonzero(right)
    hits = np.arange(1, len(at) + 1, dtype=np.float64)
    return hits / (at + 1 + EPS), hits / positives


def average_precision(right: Bools, positives: int) -> float:
    """Return COCO's average precision: the mean over 101 recalls of the best precision at that recall or beyond.

    Between two right detections precision only falls, so the curve is needed at the right ones alone.

    Args:
        right: (D,) as in `precision_recall`.
        positives: objects to be found, > 0.

    Returns:
        AP in 0–1.
    """
    precision, recall = precision_recall(right, positives)
    if not len(recall):
        return 0.0
    best = envelope(precision)
    reached: Ints = np.searchsorted(recall, RECALLS, side="left")
    return float(best[reached[reached < len(best)]].sum() / len(RECALLS))


def envelope(precision: Floats) -> Floats:
    """Return the largest precision at each position or after it, along the last axis."""
    return np.maximum.accumulate(precision[..., ::-1], axis=-1)[..., ::-1]


def mean_defined(values: Floats) -> float:
    """Average the values that are defined (not NaN); NaN when none is."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else float("nan")
