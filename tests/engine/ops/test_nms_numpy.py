"""Suppression in NumPy: against a hand-worked case, and against the one in PyTorch."""

import numpy as np
import pytest
import torch

from engine.ops.nms_numpy import filter_by_confidence, greedy_nms, image_nms
from engine.ops.nms_torch import non_max_suppression


@pytest.mark.parametrize("copies", [1, 2000])
def test_a_case_worked_by_hand(copies):
    # Two boxes of 10×10 shifted by 5 overlap by 50/150 = 1/3; the third lies apart. Copies of it are all dropped.
    boxes = np.array([[0.0, 0, 10, 10], [5, 0, 15, 10]] + [[50.0, 50, 60, 60]] * copies)
    scores = np.array([0.8, 0.9] + [0.5] * copies)
    assert greedy_nms(boxes, scores, 0.3, 300).tolist() == [1, 2]
    assert greedy_nms(boxes, scores, 0.34, 300).tolist() == [1, 0, 2]
    assert greedy_nms(boxes, scores, 0.34, 2).tolist() == [1, 0]


def test_boxes_without_area_do_not_stop_it():
    assert len(greedy_nms(np.zeros((2000, 4)), np.linspace(0, 1, 2000), 0.5, 10)) == 10


@pytest.mark.parametrize("agnostic", [False, True])
@pytest.mark.parametrize("classes", [None, [1, 4]])
def test_equal_to_the_one_in_pytorch(agnostic, classes):
    prediction = torch.rand(2, 9, 500, generator=torch.Generator().manual_seed(1))
    prediction[:, :2] *= 320
    prediction[:, 2:4] *= 40
    expected = non_max_suppression(prediction, 0.6, 0.5, classes=classes, agnostic=agnostic, max_det=50)
    found = [image_nms(rows, 0.6, 0.5, 50, classes, agnostic) for rows in filter_by_confidence(prediction.numpy(), 0.6)]
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-4)
    assert all(len(rows) > 5 for rows in found)


def test_nothing_found():
    rows = filter_by_confidence(np.zeros((2, 7, 100), np.float32), 0.25)
    assert [image_nms(image, 0.25, 0.45, 300, None, False).shape for image in rows] == [(0, 6), (0, 6)]
