"""Our suppression against ultralytics' own, without its time limit, and against a hand-worked case."""

import pytest
import torch

from engine.ops.nms_torch import non_max_suppression, stock


@pytest.mark.parametrize(
    ("boxes", "classes", "conf", "several", "agnostic"),
    [
        (800, 3, 0.001, True, False),  # many candidates, as at the beginning of training
        (800, 3, 0.001, True, True),
        (500, 80, 0.9, True, False),
        (1600, 1, 0.001, True, False),
        (400, 10, 0.5, False, False),
        (50, 10, 0.999, False, False),
    ],
)
def test_equal_to_ultralytics(boxes, classes, conf, several, agnostic):
    generator = torch.Generator().manual_seed(0)
    prediction = torch.rand(1, 4 + classes, boxes, generator=generator)
    prediction[:, :2] *= 320
    prediction[:, 2:4] *= 40
    mine = non_max_suppression(prediction, conf, 0.6, agnostic=agnostic, multi_label=several, max_det=300)
    theirs = stock(
        prediction.clone(), conf, 0.6, agnostic=agnostic, multi_label=several, max_det=300, max_time_img=float("inf")
    )
    assert [len(image) for image in mine] == [len(image) for image in theirs]
    for ours, expected in zip(mine, theirs, strict=True):
        assert torch.equal(ours, expected)


def test_only_the_wanted_classes():
    prediction = torch.rand(1, 9, 500, generator=torch.Generator().manual_seed(1))
    mine = non_max_suppression(prediction, 0.3, 0.6, classes=[1, 4])
    theirs = stock(prediction.clone(), 0.3, 0.6, classes=[1, 4], max_time_img=float("inf"))
    assert torch.equal(mine[0], theirs[0])
    assert set(mine[0][:, 5].tolist()) <= {1.0, 4.0}


def test_no_candidates():
    prediction = torch.zeros(2, 7, 100)
    assert [tuple(image.shape) for image in non_max_suppression(prediction, 0.25, 0.45)] == [(0, 6), (0, 6)]


def test_end_to_end_models_are_left_to_ultralytics():
    rows = torch.tensor([[[0.0, 0, 10, 10, 0.5, 2], [0, 0, 5, 5, 0.125, 1]]])  # corners, score, class
    assert non_max_suppression((rows, None), 0.25, 0.45, end2end=True)[0].tolist() == [[0.0, 0, 10, 10, 0.5, 2]]
