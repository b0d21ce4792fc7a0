"""Overlap of boxes by hand, and the search for pairs."""

import numpy as np
import pytest

from metrics import read_detections, read_truths
from metrics.iou import _chunks, iou_matrix, iou_of_pairs, overlapping


@pytest.mark.parametrize(
    ("detected", "true", "crowd", "plus_one", "expected"),
    [
        ([0, 0, 10, 10], [0, 0, 10, 10], False, False, 1),
        ([0, 0, 10, 10], [5, 0, 10, 10], False, False, 50 / 150),
        ([0, 0, 10, 10], [5, 0, 10, 10], True, False, 0.5),
        ([0, 0, 10, 10], [5, 0, 10, 10], False, True, 6 * 11 / (2 * 121 - 66)),
        ([0, 0, 10, 10], [20, 0, 10, 10], False, False, 0),  # apart in x only
        ([0, 0, 10, 10], [20, 20, 10, 10], False, False, 0),  # apart in both
        ([0, 0, 10, 10], [10, 0, 10, 10], False, False, 0),  # touching
        ([0, 0, 10, 10], [10, 0, 10, 10], False, True, 11 / (2 * 121 - 11)),
        ([3, 3, 0, 0], [3, 3, 0, 0], False, False, 0),  # a point
        ([3, 3, 0, 0], [3, 3, 0, 0], False, True, 1),  # a pixel
    ],
)
def test_hand_worked(detected, true, crowd, plus_one, expected):
    iou = iou_of_pairs(np.array([detected], float), np.array([true], float), np.array([crowd]), plus_one)
    assert iou.tolist() == [pytest.approx(expected)]


def test_pairs_do_not_depend_on_the_chunk(make_set, monkeypatch):
    gt, detections = make_set(2)
    truths = read_truths(gt)
    columns = read_detections(detections, truths)
    whole = overlapping(truths, columns, 0.1, same_class=False)
    monkeypatch.setattr("metrics.iou.CHUNK", 37)
    parts = overlapping(truths, columns, 0.1, same_class=False)
    for a, b in ((whole.detection, parts.detection), (whole.truth, parts.truth), (whole.iou, parts.iou)):
        np.testing.assert_array_equal(a, b)
    assert len(whole.iou) > 500


def test_chunks_are_bounded(monkeypatch):
    """A detection's pairs stay together, so only one detection alone may go beyond the limit."""
    monkeypatch.setattr("metrics.iou.CHUNK", 10)
    counts = np.array([4, 4, 4, 0, 25, 1, 9, 1])
    parts = [counts[part].tolist() for part in _chunks(counts)]
    assert parts == [[4, 4], [4, 0], [25], [1, 9], [1]]


def test_every_box_with_every_one():
    some = np.array([[0, 0, 10, 10], [20, 20, 20, 20]], np.float32)
    others = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [10, 0, 20, 10], [20, 20, 20, 20]], np.float32)
    iou = iou_matrix(some, others)
    assert iou.dtype == np.float32
    np.testing.assert_allclose(iou, [[1, 50 / 150, 0, 0], [0, 0, 0, np.nan]], rtol=1e-6)  # no area, no overlap to say
