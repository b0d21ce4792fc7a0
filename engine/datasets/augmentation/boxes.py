"""Move a sample's boxes with its pixels, all in one step."""

from collections.abc import Sequence

import numpy as np

from engine.datasets.augmentation.draws import Draws
from engine.datasets.augmentation.layout import Layout

LEAST_SIDE, LEAST_PART, LONGEST = 2.0, 0.1, 100.0  # of a box that is kept: pixels, part of its area, ratio of sides


def move_boxes(
    draws: Draws, layout: Layout, boxes: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Move boxes into the output.

    Args:
        draws: of the sample.
        layout: where its sources go.
        boxes: per source (n, 4): x1, y1, x2, y2 in its pixels.

    Returns:
        (m, 4) float32, boxes in pixels of the output, cut at its edges; (m,) int, the position of each among all given
        ones. Boxes of which too little remains are left out.

    Source:
        YOLOv5 v7.0, augmentations.random_perspective and box_candidates.
    """
    size = layout.size
    counts = [len(each) for each in boxes]
    crops = np.repeat(np.array([tile.crop for tile in layout.tiles], float), counts, axis=0)
    matrices = np.repeat(np.array([tile.matrix for tile in layout.tiles]), counts, axis=0)
    cut = np.concatenate(boxes)
    cut = np.minimum(np.maximum(cut, crops[:, [0, 1, 0, 1]]), crops[:, [2, 3, 2, 3]])
    if layout.resized:
        moved = cut * matrices[:, [0, 1, 0, 1], [0, 1, 0, 1]] + matrices[:, [0, 1, 0, 1], 2]
    else:
        moved = _bounding_boxes(cut, matrices)
    moved = np.minimum(np.maximum(moved, 0), [*size, *size])
    if draws.mirrored:
        moved[:, [0, 2]] = size[0] - moved[:, [2, 0]]
    if draws.upside_down:
        moved[:, [1, 3]] = size[1] - moved[:, [3, 1]]
    kept = np.flatnonzero(_enough_remains(cut, moved, draws.zoom))
    return moved[kept].astype(np.float32), kept


def _bounding_boxes(boxes: np.ndarray, matrices: np.ndarray) -> np.ndarray:
    """Return the boxes (n, 4) around the corners of boxes, each transformed by its own matrix (n, 3, 3)."""
    x, y = boxes[:, [0, 2, 0, 2]], boxes[:, [1, 3, 3, 1]]
    across, down, depth = (matrices[:, row, :1] * x + matrices[:, row, 1:2] * y + matrices[:, row, 2:] for row in range(3))
    if (depth != 1).any():
        with np.errstate(divide="ignore", invalid="ignore"):
            across, down = across / depth, down / depth
    return np.stack((across.min(1), down.min(1), across.max(1), down.max(1)), axis=1)


def _enough_remains(before: np.ndarray, after: np.ndarray, zoom: float) -> np.ndarray:
    """Return whether each box (n, 4) is still large, whole and compact enough."""
    sides = (before[:, 2:] - before[:, :2]) * zoom
    width, height = (after[:, 2:] - after[:, :2]).T
    short, long = np.minimum(width, height), np.maximum(width, height)
    whole = sides[:, 0] * sides[:, 1]
    return (short > LEAST_SIDE) & (width * height > LEAST_PART * whole) & (long < LONGEST * short)
