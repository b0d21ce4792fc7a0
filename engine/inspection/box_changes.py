"""Match the boxes of two models on one image: unchanged, moved, lost, gained; right or wrong where there is truth."""

from dataclasses import dataclass, field

import numpy as np

from metrics.iou import iou_matrix

SAME_IOU = 0.5  # IoU of two boxes of one class that are about the same object
UNMOVED_IOU = 0.9  # IoU of two such boxes from which on the box counts as unchanged
SIZES = (("small", 32**2), ("medium", 96**2), ("large", float("inf")))  # areas in pixels, as COCO's
CHANGES = ("gained", "lost", "moved")


@dataclass(frozen=True)
class Boxes:
    """Hold boxes of one image.

    Attributes:
        corners: (n, 4) in pixels.
        classes: (n,) numbers.
        scores: (n,) best first; of truth, ones.
    """

    corners: np.ndarray
    classes: np.ndarray
    scores: np.ndarray


@dataclass
class ImageChanges:
    """Say what became of each box of the first model, and where each of the second comes from.

    Attributes:
        before: (n,) "same", "moved" or "lost".
        after: (m,) "same", "moved" or "gained".
        right_before, right_after: whether a box is right by the truth; empty where there is none.
    """

    before: list[str]
    after: list[str]
    right_before: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))
    right_after: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))

    @property
    def count(self) -> int:
        """How many boxes were gained, lost or moved; a moved one counts once."""
        return self.before.count("lost") + self.after.count("gained") + self.after.count("moved")


def pairs(first: Boxes, second: Boxes) -> list[tuple[int, int, float]]:
    """Return pairs (of first, of second, IoU) of one class, the largest overlap first, each box once."""
    overlaps = np.nan_to_num(iou_matrix(first.corners.astype(float), second.corners.astype(float)))
    overlaps[first.classes[:, None] != second.classes[None]] = 0
    chosen = []
    while overlaps.size and overlaps.max() >= SAME_IOU:
        row, column = (int(index) for index in np.unravel_index(overlaps.argmax(), overlaps.shape))
        chosen.append((row, column, float(overlaps[row, column])))
        overlaps[row], overlaps[:, column] = 0, 0
    return chosen


def compare_boxes(before: Boxes, after: Boxes, truth: Boxes | None = None) -> ImageChanges:
    """Compare what two models found in one image.

    Args:
        before: boxes of the first model.
        after: boxes of the second.
        truth: the objects, where they are known.
    """
    changes = ImageChanges(["lost"] * len(before.corners), ["gained"] * len(after.corners))
    for row, column, overlap in pairs(before, after):
        changes.before[row] = changes.after[column] = "same" if overlap >= UNMOVED_IOU else "moved"
    if truth is not None:
        changes.right_before, changes.right_after = _right(before, truth), _right(after, truth)
    return changes


def _right(boxes: Boxes, truth: Boxes) -> np.ndarray:
    """Tell for each box whether it is the one that stands for an object of its class: the best of those that could."""
    right, free = np.zeros(len(boxes.corners), bool), np.ones(len(truth.corners), bool)
    overlaps = np.nan_to_num(iou_matrix(boxes.corners.astype(float), truth.corners.astype(float)))
    overlaps[boxes.classes[:, None] != truth.classes[None]] = 0
    for row in np.argsort(-boxes.scores, kind="stable"):
        could = np.where(free, overlaps[row], 0)
        if could.size and could.max() >= SAME_IOU:
            right[row], free[could.argmax()] = True, False
    return right


def size_of(corners: np.ndarray) -> str:
    """Return "small", "medium" or "large", by the area of a box (4,) in pixels."""
    area = float((corners[2] - corners[0]) * (corners[3] - corners[1]))
    return next(name for name, limit in SIZES if area < limit)


class Tally:
    """Count changes over images: in all, by class, by size, and right or wrong where there is truth.

    Args:
        names: class number → name.
    """

    def __init__(self, names: dict[int, str]) -> None:
        self.names = names
        self.total = dict.fromkeys((*CHANGES, "same"), 0)
        self.by_class: dict[str, dict[str, int]] = {}
        self.by_size = {name: dict.fromkeys(CHANGES, 0) for name, _ in SIZES}
        self.by_truth: dict[str, int] = {}

    def add(self, before: Boxes, after: Boxes, changes: ImageChanges) -> None:
        """Count one image; a moved box counts with the class and size that it has after."""
        for boxes, kinds, right, counted in (
            (before, changes.before, changes.right_before, ("lost",)),
            (after, changes.after, changes.right_after, ("gained", "moved", "same")),
        ):
            for number, kind in enumerate(kinds):
                if kind not in counted:
                    continue
                self.total[kind] += 1
                if kind == "same":
                    continue
                name = self.names.get(int(boxes.classes[number]), str(int(boxes.classes[number])))
                self.by_class.setdefault(name, dict.fromkeys(CHANGES, 0))[kind] += 1
                self.by_size[size_of(boxes.corners[number])][kind] += 1
                if len(right):
                    key = f"{kind} {'right' if right[number] else 'wrong'}"
                    self.by_truth[key] = self.by_truth.get(key, 0) + 1

    def to_dict(self) -> dict[str, object]:
        """Return the counts in JSON types."""
        return {
            "total": self.total,
            "by_class": dict(sorted(self.by_class.items())),
            "by_size": self.by_size,
            "by_truth": dict(sorted(self.by_truth.items())),
        }
