"""Lay out a sample's sources: which part of each is seen, and where it goes in the output.

All coordinates are continuous ones: pixel i of a row covers the interval from i to i + 1.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from engine.datasets.augmentation.draws import Draws, transformation


class Rectangle(NamedTuple):
    """Whole pixels from (x1, y1) up to, not including, (x2, y2)."""

    x1: int
    y1: int
    x2: int
    y2: int


class Tile(NamedTuple):
    """Place one source.

    Attributes:
        crop: part of the source on the canvas; boxes are cut at it.
        matrix: (3, 3) from the source's points to the output's.
        sampled: part of the source from which `target` is resized; None where pixels have to be warped by the matrix.
        target: part of the output that it fills; None where it fills nothing.
    """

    crop: Rectangle
    matrix: np.ndarray
    sampled: Rectangle | None = None
    target: Rectangle | None = None


class Layout(NamedTuple):
    """Place all sources of a sample.

    Attributes:
        tiles: one a source, before the output is turned over.
        size: (width, height) of the output.
        resized: whether resizing the tiles is enough; they have to be warped otherwise.
    """

    tiles: list[Tile]
    size: tuple[int, int]
    resized: bool


def lay_out(draws: Draws, shapes: Sequence[tuple[int, int]], imgsz: int, size: tuple[int, int]) -> Layout:
    """Place the sources of a sample.

    Args:
        draws: of the sample.
        shapes: (height, width) of its sources at training size: one, or four of a mosaic.
        imgsz: training size; a mosaic's canvas has twice its sides.
        size: (width, height) of the output.

    Returns:
        The layout. Where nothing is rotated, sheared or tilted, a tile's matrix is that of its resizing, which begins
        and ends at whole pixels: it may be off the drawn one by half a pixel.
    """
    if draws.combined:
        canvas = 2 * imgsz, 2 * imgsz
        x, y = (int(imgsz // 2 + part * (2 * imgsz - 2 * (imgsz // 2))) for part in draws.centre)
        offsets = [(x - (n % 2 == 0) * width, y - (n < 2) * height) for n, (height, width) in enumerate(shapes)]
    else:
        canvas = shapes[0][1], shapes[0][0]
        offsets = [(0, 0)]
    matrix = transformation(draws, canvas, size)
    plain = _only_scales(matrix)
    tiles = []
    for (height, width), (left, top) in zip(shapes, offsets, strict=True):
        crop = Rectangle(max(0, -left), max(0, -top), min(width, canvas[0] - left), min(height, canvas[1] - top))
        own = matrix.copy()
        own[:, 2] += matrix[:, 0] * left + matrix[:, 1] * top
        tiles.append(_snapped(crop, own, size) if plain else Tile(crop, own))
    return Layout(tiles, size, plain)


def _only_scales(matrix: np.ndarray) -> bool:
    """Return whether axes stay axes, and neither turns round."""
    (a, b, _), (c, d, _), (e, f, _) = matrix.tolist()
    return not (b or c or e or f) and a > 0 and d > 0


def _snapped(crop: Rectangle, matrix: np.ndarray, size: tuple[int, int]) -> Tile:
    """Return the tile of a crop that is only scaled and shifted, with the matrix that resizing whole pixels makes."""
    spans = []
    rows = matrix.tolist()
    for axis in (0, 1):
        scale, shift = rows[axis][axis], rows[axis][2]
        low, high = crop[axis], crop[axis + 2]
        # pixels of the output whose centre lies on the crop: neighbours on the canvas neither overlap nor leave a gap
        first = max(0, math.ceil(scale * low + shift - 0.5))
        end = min(size[axis], math.ceil(scale * high + shift - 0.5))
        if first >= end or low >= high:
            return Tile(crop, matrix)
        begin = min(max(round((first - shift) / scale), low), high - 1)
        stop = min(max(round((end - shift) / scale), begin + 1), high)
        rows[axis][axis] = (end - first) / (stop - begin)
        rows[axis][2] = first - rows[axis][axis] * begin
        spans.append((begin, stop, first, end))
    (x1, x2, left, right), (y1, y2, top, bottom) = spans
    return Tile(crop, np.array(rows), Rectangle(x1, y1, x2, y2), Rectangle(left, top, right, bottom))
