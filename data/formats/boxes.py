"""Repair faulty boxes, one box at a time: a bad box never costs its image."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from data.records import Issue, Record

EDGE_TOLERANCE = 0.5  # pixels: labels with few decimals miss the edge by less than this, which is no fault
MIN_SIDE = 1e-3  # pixels: below it a box has no size


@dataclass(slots=True)
class RawObjects:
    """The objects of one image as written, before any check; parallel lists.

    Units:
        boxes: (x1, y1, x2, y2) in pixels. area: square pixels, NaN where the file gives none.
    """

    file: Path
    rows: list[int | str] = field(default_factory=list)
    classes: list[int] = field(default_factory=list)
    boxes: list[tuple[float, float, float, float]] = field(default_factory=list)
    difficult: list[bool] = field(default_factory=list)
    crowd: list[bool] = field(default_factory=list)
    area: list[float] = field(default_factory=list)

    def add(
        self,
        row: int | str,
        cls: int,
        box: tuple[float, float, float, float],
        *,
        difficult: bool = False,
        crowd: bool = False,
        area: float = float("nan"),
    ) -> None:
        """Append one object."""
        self.rows.append(row)
        self.classes.append(cls)
        self.boxes.append(box)
        self.difficult.append(difficult)
        self.crowd.append(crowd)
        self.area.append(area)


def make_record(path: Path, width: int, height: int, raw: RawObjects, issues: list[Issue]) -> Record:
    """Check and repair the objects of one image.

    Corners in the wrong order are swapped, boxes over the edge clipped; boxes without size, outside the image,
    not finite, or written twice are dropped. Each leaves an Issue in `issues`.

    Args:
        path: the image.
        width: its width in pixels, as shown.
        height: its height in pixels, as shown.
        raw: its objects, class numbers already known to be valid.
        issues: list to which faults are appended.

    Returns:
        The record, image_id not yet set.
    """
    boxes = np.array(raw.boxes, dtype=np.float64).reshape(-1, 4)
    classes = np.array(raw.classes, dtype=np.int64)
    image_size = np.array([width, height, width, height], dtype=np.float64)
    keep = np.ones(len(boxes), dtype=bool)
    for index in np.flatnonzero(_suspect(boxes, image_size)):
        fault = _repair(boxes, int(index), image_size)
        issues.extend(Issue(raw.file, raw.rows[index], kind, text, action) for kind, text, action in fault)
        keep[index] = not any(action == "dropped" for _, _, action in fault)
    with np.errstate(invalid="ignore"):  # dropped boxes may hold NaN
        # A millionth of a pixel is below every format's precision; it makes whole pixels whole again after a division.
        boxes = np.minimum(np.maximum(boxes, 0.0), image_size).round(6)
    crowd = np.array(raw.crowd, dtype=bool)
    _drop_copies(raw, boxes, crowd, keep, issues)
    sides = boxes[keep, 2:] - boxes[keep, :2]
    area = np.array(raw.area, dtype=np.float64)[keep]
    area = np.where(np.isfinite(area) & (area >= 0), area, sides[:, 0] * sides[:, 1])
    difficult = np.array(raw.difficult, dtype=bool)
    return Record(path, width, height, classes[keep], boxes[keep], difficult[keep], crowd[keep], area)


def _suspect(boxes: np.ndarray, image_size: np.ndarray) -> np.ndarray:
    """Mask of the boxes that need a closer look; NaN compares false, so it is caught."""
    with np.errstate(invalid="ignore"):
        inside = np.minimum(np.maximum(boxes, 0.0), image_size)
        sides = inside[:, 2:] - inside[:, :2]
        return (sides.min(1) < MIN_SIDE) | ~(np.abs(inside - boxes).max(1) <= EDGE_TOLERANCE)


def _repair(boxes: np.ndarray, index: int, image_size: np.ndarray) -> list[tuple[str, str, str]]:
    """Mend boxes[index] in place; what was wrong as (kind, message, action), empty if nothing."""
    box = boxes[index]
    shown = "[" + ", ".join(f"{value:.6g}" for value in box) + "]"
    if not np.isfinite(box).all():
        return [("not-a-number", f"box {shown} is not finite", "dropped")]
    faults = []
    if box[2] < box[0] or box[3] < box[1]:
        faults.append(("reversed", f"box {shown} has its corners in the wrong order", "swapped"))
        box[:] = np.minimum(box[:2], box[2:]).tolist() + np.maximum(box[:2], box[2:]).tolist()
    if (box[2:] - box[:2] < MIN_SIDE).any():
        return [*faults, ("zero-size", f"box {shown} has no width or height", "dropped")]
    clipped = np.clip(box, 0.0, image_size)
    size = f"{image_size[0]:g}×{image_size[1]:g}"
    if (clipped[2:] - clipped[:2] < MIN_SIDE).any():
        return [*faults, ("outside", f"box {shown} lies outside the {size} image", "dropped")]
    if (np.abs(clipped - box) > EDGE_TOLERANCE).any():
        faults.append(("over-edge", f"box {shown} reaches over the edge of the {size} image", "clipped"))
    return faults


def _drop_copies(raw: RawObjects, boxes: np.ndarray, crowd: np.ndarray, keep: np.ndarray, issues: list[Issue]) -> None:
    """Clear keep[i] of each object that repeats an earlier one: class, crowd flag and box."""
    seen: dict[tuple, int] = {}
    for index, item in enumerate(zip(raw.classes, crowd.tolist(), *boxes.T.tolist(), strict=True)):
        if keep[index] and (first := seen.setdefault(item, index)) != index:
            keep[index] = False
            text = f"the same class and box as row {raw.rows[first]}"
            issues.append(Issue(raw.file, raw.rows[index], "repeated", text, "dropped"))
