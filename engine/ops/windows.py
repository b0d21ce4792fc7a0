"""Lay windows over a large image (--slice), and cut its labels to what a window shows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from engine.errors import UsageError

SMALLEST = 32  # pixels of a window's side
MOST_OVERLAP = 0.9


@dataclass(frozen=True)
class Slicing:
    """Say how large images are cut into windows.

    Attributes:
        size: pixels of a window's side, in the image's own pixels.
        overlap: part of a window that its neighbour shows too, 0 to 0.9.
        visible: part of a box's area that a window must show for the box to be one of its labels, 0 to 1.
    """

    size: int
    overlap: float = 0.2
    visible: float = 0.25

    @classmethod
    def of(cls, options: Any) -> "Slicing | None":
        """Return what --slice and its companions ask for; None without --slice.

        Args:
            options: flags of a script, as a namespace or as a dictionary.

        Raises:
            UsageError: if a window is too small, or neighbours share too much of it.
        """
        flags = options if isinstance(options, dict) else vars(options)
        size, overlap = flags.get("slice"), flags.get("slice_overlap", cls.overlap)
        if size is None:
            return None
        if not isinstance(size, int) or size < SMALLEST:
            raise UsageError(f"--slice {size}: a window's side is a whole number of pixels, at least {SMALLEST}")
        if not 0 <= overlap <= MOST_OVERLAP:
            raise UsageError(f"--slice-overlap {overlap}: give a part of the window from 0 to {MOST_OVERLAP}")
        return cls(size, overlap, flags.get("slice_visible", cls.visible))

    def windows(self, height: int, width: int) -> np.ndarray:
        """Return the views of an image: its windows row by row, then the whole.

        Windows follow one another at a step of (1 - overlap) * size; the last of a row or column ends with the image.
        An image that fits into one window has no view but the whole.

        Args:
            height: of the image in pixels.
            width: likewise.

        Returns:
            (n, 4) int64: left, top, right, bottom.
        """
        whole = np.array([[0, 0, width, height]], np.int64)
        if height <= self.size and width <= self.size:
            return whole
        step = max(1, self.size - int(self.size * self.overlap))
        tops, lefts = _starts(height, self.size, step), _starts(width, self.size, step)
        top, left = (grid.ravel() for grid in np.meshgrid(tops, lefts, indexing="ij"))
        right, bottom = np.minimum(left + self.size, width), np.minimum(top + self.size, height)
        return np.concatenate([np.stack([left, top, right, bottom], 1), whole])


def _starts(length: int, size: int, step: int) -> np.ndarray:
    """Return where windows begin along one side of an image."""
    last = max(0, length - size)
    return np.append(np.arange(0, last, step), last)


def view_records(records: Sequence[Any], slicing: Slicing) -> tuple[list[Any], np.ndarray, np.ndarray]:
    """Return a record for every view of every image: the windows of an image, then the whole of it.

    Args:
        records: `data.records.Record` objects.
        slicing: how images are cut.

    Returns:
        The views as records, whose boxes are in the view's pixels; (n, 4) left, top, right, bottom of each view in its
        image; (n,) number of its image in `records`.
    """
    views: list[Any] = []
    windows: list[np.ndarray] = []
    for record in records:
        own = slicing.windows(record.height, record.width)
        windows.append(own)
        views += [cut_record(record, window, slicing.visible) for window in own[:-1]]
        views.append(record)
    numbers = np.repeat(np.arange(len(records)), [len(own) for own in windows])
    return views, np.concatenate(windows) if windows else np.zeros((0, 4), np.int64), numbers


def samples_of(records: Sequence[Any], slicing: Slicing | None) -> Sequence[Any]:
    """Return the records that a model is trained on: the images, or the views of them."""
    return records if slicing is None else view_records(records, slicing)[0]


def cut_record(record: Any, window: np.ndarray, visible: float) -> Any:
    """Return a record of what a window shows: boxes clipped to it, those left out of which too little is visible.

    Args:
        record: a `data.records.Record`.
        window: (4,) left, top, right, bottom in pixels of its image.
        visible: part of a box's area that must be inside.
    """
    boxes = record.boxes_xyxy.reshape(-1, 4)
    low, high = window[[0, 1, 0, 1]].astype(np.float64), window[[2, 3, 2, 3]].astype(np.float64)
    inside = boxes.clip(low, high)
    shown = _area(inside) / np.maximum(_area(boxes), 1e-9)
    keep = (shown > 0) & (shown >= visible)
    return replace(
        record,
        width=int(window[2] - window[0]),
        height=int(window[3] - window[1]),
        boxes_xyxy=inside[keep] - low,
        classes=record.classes[keep],
        difficult=record.difficult[keep],
        crowd=record.crowd[keep],
        area=record.area[keep] * shown[keep],
    )


def _area(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])  # type: ignore[no-any-return]
