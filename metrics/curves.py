"""Compute precision, recall and F1 against confidence, and the confusion matrix, from a match table at IoU 0.5."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from metrics.inputs import Floats, Ints, Truths
from metrics.iou import Pairs
from metrics.matching import IGNORED, RIGHT, MatchTable

CONFIDENCES: Floats = np.linspace(0.0, 1.0, 1001)


@dataclass(frozen=True)
class Curves:
    """Curves over confidence of the classes that have objects.

    Attributes:
        names: (C,) classes that have objects.
        precision: (C, 1001) at each of CONFIDENCES; 1 where no detection is left.
        recall: (C, 1001).
        f1: (C, 1001) harmonic mean of both.
    """

    names: tuple[str, ...]
    precision: Floats
    recall: Floats
    f1: Floats

    def best(self) -> dict[str, Any]:
        """Return the operating point with the largest mean F1.

        Returns:
            confidence (the lowest of equals), precision, recall, f1: means over classes; per_class: the latter three
            by class name. All -1 when no class has objects.
        """
        if not self.names:
            return {"confidence": -1.0, "precision": -1.0, "recall": -1.0, "f1": -1.0, "per_class": {}}
        at = int(self.f1.mean(0).argmax())
        rows = np.stack([self.precision[:, at], self.recall[:, at], self.f1[:, at]], axis=1)
        keys = ("precision", "recall", "f1")
        return {
            "confidence": float(CONFIDENCES[at]),
            **dict(zip(keys, rows.mean(0).tolist(), strict=True)),
            "per_class": {
                n: dict(zip(keys, row, strict=True)) for n, row in zip(self.names, rows.tolist(), strict=True)
            },
        }


def confidence_curves(table: MatchTable) -> Curves:
    """Return precision, recall and F1 that a user gets who keeps detections of at least some confidence.

    Args:
        table: from `match`; ignored detections count neither way.

    Returns:
        The curves.
    """
    positives = table.positives()
    classes = np.flatnonzero(positives)
    slices = table.class_slices()
    precision, recall = np.ones((len(classes), len(CONFIDENCES))), np.zeros((len(classes), len(CONFIDENCES)))
    for i, k in enumerate(classes):
        state, score = table.state[0, 0, slices[k]], table.score[slices[k]]
        kept = state != IGNORED
        right = np.concatenate([[0], np.cumsum(state[kept] == RIGHT)])
        count = np.searchsorted(-score[kept], -CONFIDENCES, side="right")
        recall[i] = right[count] / positives[k]
        np.divide(right[count], count, out=precision[i], where=count > 0)
    both = precision + recall
    f1 = np.divide(2 * precision * recall, both, out=np.zeros_like(both), where=both > 0)
    return Curves(tuple(str(table.names[k]) for k in classes), precision, recall, f1)


def confusion_matrix(
    table: MatchTable, truths: Truths, pairs: Pairs, confidence: float = 0.25, iou: float = 0.45
) -> Ints:
    """Count which class was taken for which.

    Boxes are paired whatever their class, the largest overlap first, then the higher score. Crowds are no objects
    here, and a detection that matched one is not counted.

    Args:
        table: from `match`.
        truths: what the table was made from.
        pairs: from `loose_pairs`.
        confidence: detections below it are left out (the default is YOLOv5's).
        iou: IoU to exceed, at least 0.1 (the default is YOLOv5's).

    Returns:
        (K + 1, K + 1) numbers: row the predicted class, column the true one, last row and column the background.
    """
    classes = len(table.names)
    use = (table.score[pairs.detection] >= confidence) & (pairs.iou > iou) & ~truths.crowd[pairs.truth]
    order = np.lexsort((pairs.truth[use], -table.score[pairs.detection[use]], -pairs.iou[use]))
    detection, truth = _one_to_one(pairs.detection[use][order], pairs.truth[use][order])
    free_detection = (table.score >= confidence) & (table.state[0, 0] != IGNORED)
    free_detection[detection] = False
    free_truth = ~truths.crowd
    free_truth[truth] = False
    matrix = np.zeros((classes + 1, classes + 1), dtype=np.int64)
    np.add.at(matrix, (table.category[detection], truths.category[truth]), 1)
    matrix[:classes, classes] = np.bincount(table.category[free_detection], minlength=classes)
    matrix[classes, :classes] = np.bincount(truths.category[free_truth], minlength=classes)
    return matrix


def _one_to_one(detection: Ints, truth: Ints) -> tuple[Ints, Ints]:
    """Take pairs in the order given unless one of the boxes has been taken."""
    chosen: list[tuple[Ints, Ints]] = []
    while len(detection):
        # A pair that is the first for both of its boxes would be taken by the one-by-one walk, too.
        first = np.zeros(len(detection), dtype=bool)
        first[np.unique(detection, return_index=True)[1]] = True
        both = np.zeros(len(truth), dtype=bool)
        both[np.unique(truth, return_index=True)[1]] = True
        take = first & both
        chosen.append((detection[take], truth[take]))
        rest = ~(np.isin(detection, detection[take]) | np.isin(truth, truth[take]))
        detection, truth = detection[rest], truth[rest]
    if not chosen:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    return np.concatenate([d for d, _ in chosen]), np.concatenate([t for _, t in chosen])
