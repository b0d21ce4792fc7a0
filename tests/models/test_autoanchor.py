"""Anchor check and search."""

import numpy as np
import pytest

from models import build_model
from models.autoanchor import anchor_fit, check_anchors, find_anchors


def test_fit_by_hand() -> None:
    anchors = np.array([[10.0, 10.0]])
    wh = np.array([[10.0, 10.0], [20.0, 10.0], [41.0, 10.0], [10.0, 2.0]])
    fit = anchor_fit(anchors, wh)
    # Closeness 1, ½, 10/41 < ¼, 1/5 < ¼: two of four boxes can be answered for.
    assert fit == (0.5, 0.5, pytest.approx((1 + 0.5) / 4))


def test_fitting_anchors_are_kept() -> None:
    detector = build_model("yolov5n")
    before = detector.model[-1].anchor_wh.clone()
    wh = (before * detector.stride.view(-1, 1, 1)).reshape(-1, 2).numpy().repeat(20, 0)
    assert check_anchors(detector, wh).endswith("kept")
    assert np.array_equal(detector.model[-1].anchor_wh, before)


def test_unfitting_anchors_are_replaced_in_strides() -> None:
    rng = np.random.default_rng(0)
    wh = rng.uniform(2, 6, (300, 2)) * [1, 8]  # tall slivers that COCO's anchors miss
    detector = build_model("yolov5n")
    message = check_anchors(detector, wh)
    assert "replaced by" in message
    pixels = (detector.model[-1].anchor_wh * detector.stride.view(-1, 1, 1)).reshape(-1, 2).numpy()
    assert anchor_fit(pixels, wh).recall > 0.99
    assert (np.diff(pixels.prod(1)) >= 0).all()


def test_search_is_repeatable_and_copes_with_equal_boxes() -> None:
    wh = np.full((50, 2), [12.0, 40.0])
    assert np.array_equal(find_anchors(wh, 9), find_anchors(wh, 9))
    assert anchor_fit(find_anchors(wh, 9), wh).recall == 1.0


def test_too_few_boxes_are_said_and_change_nothing() -> None:
    detector = build_model("yolov5n")
    assert "no boxes" in check_anchors(detector, np.zeros((0, 2)))
    assert "too few" in check_anchors(detector, np.full((3, 2), 1500.0))
