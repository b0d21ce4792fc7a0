"""Compute boxes around COCO segmentations: polygons and run lengths, without decoding a mask."""

from typing import Any

import numpy as np

_MAX_RUNS = 10_000_000


def segmentation_box(segmentation: Any) -> list[float] | None:
    """Return the box around a segmentation.

    Args:
        segmentation: COCO's: a list of polygons [x, y, x, y, …], or {"size": [h, w], "counts": runs or text}.

    Returns:
        [x, y, width, height] in pixels; None if the segmentation is malformed or empty.

    Source:
        Run lengths as in the COCO API (pycocotools): column by column, zeros first; text form: 5 bits a character,
        bit 6 continues, each run from the third on as the difference to the last but one.
    """
    try:
        if isinstance(segmentation, dict):
            height, width = (int(side) for side in segmentation["size"])
            counts = segmentation["counts"]
            runs = _unpack(counts) if isinstance(counts, str) else [int(run) for run in counts[:_MAX_RUNS]]
            return _runs_box(runs, height, width)
        points = np.concatenate([np.asarray(polygon, dtype=np.float64).reshape(-1, 2) for polygon in segmentation])
    except (TypeError, ValueError, KeyError, OverflowError):
        return None
    if not len(points) or not np.isfinite(points).all():
        return None
    low, high = points.min(0), points.max(0)
    return [*low.tolist(), *(high - low).tolist()]


def _runs_box(runs: list[int], height: int, width: int) -> list[float] | None:
    lengths = np.array(runs, dtype=np.int64)
    if height < 1 or width < 1 or (lengths < 0).any() or lengths.sum() > height * width:
        return None
    ends = np.cumsum(lengths)
    first, last = ends[:-1:2], ends[1::2] - 1  # first and last position of each run of ones
    first, last = first[lengths[1::2] > 0], last[lengths[1::2] > 0]
    if not len(first):
        return None
    x1, x2 = int(first[0]) // height, int(last[-1]) // height + 1
    if ((first // height) != (last // height)).any():  # a run over a column's end covers the top and the bottom row
        y1, y2 = 0, height
    else:
        y1, y2 = int((first % height).min()), int((last % height).max()) + 1
    return [float(x1), float(y1), float(x2 - x1), float(y2 - y1)]


def _unpack(text: str) -> list[int]:
    runs: list[int] = []
    value, shift = 0, 0
    for character in text[: _MAX_RUNS * 8]:
        code = ord(character) - 48
        if not 0 <= code < 64 or shift > 60:
            raise ValueError("not a run-length text")
        value |= (code & 31) << shift
        shift += 5
        if not code & 32:
            if code & 16:
                value -= 1 << shift
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value, shift = 0, 0
    return runs
