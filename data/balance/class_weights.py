"""Weigh classes in the loss by how rare their boxes are."""

from collections.abc import Sequence

import numpy as np

from data.balance.repeat_factors import trained_classes
from data.records import Record


def class_counts(records: Sequence[Record], nc: int) -> np.ndarray:
    """Return the boxes of each class that training uses, (nc,)."""
    classes = np.concatenate([np.empty(0, np.int64), *(trained_classes(record) for record in records)])
    return np.bincount(classes, minlength=nc)


def class_weights(counts: np.ndarray, power: float) -> np.ndarray:
    """Return a weight for each class: its inverse count to a power, scaled so that the mean is 1.

    Args:
        counts: boxes of each class (nc,).
        power: 0 weighs all alike, 1 by the full inverse; a class without boxes gets the mean weight of the others.

    Returns:
        (nc,) float64 > 0; ones where no class has a box.

    Source:
        ultralytics' `cls_pw`.
    """
    there = counts > 0
    if not there.any():
        return np.ones(len(counts))
    weights = np.where(there, counts, 1).astype(np.float64) ** -power
    weights[~there] = weights[there].mean()
    return weights / weights.mean()
