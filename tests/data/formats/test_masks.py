"""Boxes around segmentations against pycocotools."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as reference

from data.formats.masks import segmentation_box


@settings(deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_run_lengths_as_pycocotools_sees_them(height: int, width: int, seed: int, density: float) -> None:
    mask = (np.random.default_rng(seed).random((height, width)) < density).astype(np.uint8)
    packed = reference.encode(np.asfortranarray(mask))
    flat = mask.ravel(order="F")
    edges = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff([0, *edges.tolist(), flat.size]).tolist()
    runs = ([0] if flat[0] else []) + runs
    expected = reference.toBbox(packed).tolist() if mask.any() else None
    assert segmentation_box({"size": [height, width], "counts": runs}) == expected
    assert segmentation_box({"size": [height, width], "counts": packed["counts"].decode()}) == expected


@pytest.mark.parametrize(
    "bad",
    [
        [],
        [[]],
        [[1, 2, 3]],
        [["a", 1]],
        "x",
        3,
        {},
        {"size": [2, 2]},
        {"size": [2], "counts": [4]},
        {"size": [2, 2], "counts": "\x00"},
        {"size": [2, 2], "counts": "ooooooooooooooooooo"},
        {"size": [2, 2], "counts": [1, 100]},
        {"size": [2, 2], "counts": [5, -1]},
        {"size": [2, 2], "counts": [2**80, 1]},
        {"size": [0, 0], "counts": []},
        [[float("nan"), 1]],
    ],
)
def test_malformed_segmentations_give_no_box(bad: object) -> None:
    assert segmentation_box(bad) is None


@settings(deadline=None)
@given(st.text(max_size=30))
def test_no_text_of_counts_raises(text: str) -> None:
    box = segmentation_box({"size": [9, 7], "counts": text})
    assert box is None or (0 <= box[0] and box[0] + box[2] <= 7 and 0 <= box[1] and box[1] + box[3] <= 9)
