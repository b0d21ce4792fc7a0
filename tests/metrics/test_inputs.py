"""Unusable input is refused with the row named."""

import math

import numpy as np
import pytest

from metrics import Detections, coco_metrics, read_detections, read_truths, voc_ap


def one():
    """A minimal usable pair."""
    gt = {
        "images": [{"id": 7}],
        "categories": [{"id": 3, "name": "cat"}],
        "annotations": [{"image_id": 7, "category_id": 3, "bbox": [1, 2, 3, 4]}],
    }
    good = {"image_id": 7, "category_id": 3, "bbox": [1, 2, 3, 4], "score": 0.5}
    return gt, [dict(good), dict(good), dict(good)]


BAD = [
    ("score", math.nan, "detection row 1: score is nan; expected a finite number"),
    ("score", -math.inf, "detection row 1: score is -inf"),
    ("score", "0.5", "detection row 1: score is '0.5'; expected a number"),
    ("score", None, "detection row 1: score is None"),
    ("bbox", [1, 2, math.nan, 4], r"detection row 1: bbox is \[1.0, 2.0, nan, 4.0\]; expected four finite numbers"),
    ("bbox", [1, 2, -3, 4], r"detection row 1: bbox is .*; width and height must be >= 0"),
    ("bbox", [1, 2, 3], "detection row 1: bbox is .*; expected four numbers"),
    ("bbox", "1234", "detection row 1: bbox is '1234'; expected four numbers"),
    ("image_id", 8, "detection row 1: image_id 8 is not among the 1 images of the ground truth"),
    ("image_id", [7], r"detection row 1: image_id \[7\] is not among"),
    ("category_id", 0, "detection row 1: category_id 0 is not among the 1 categories"),
]


@pytest.mark.parametrize(("key", "value", "message"), BAD)
@pytest.mark.parametrize("metric", [coco_metrics, voc_ap])
def test_bad_detection(metric, key, value, message):
    gt, detections = one()
    detections[1][key] = value
    with pytest.raises(ValueError, match=message):
        metric(gt, detections)


@pytest.mark.parametrize("key", ["image_id", "category_id", "bbox", "score"])
def test_missing_key(key):
    gt, detections = one()
    del detections[2][key]
    with pytest.raises(ValueError, match=f"detection row 2: no '{key}'"):
        coco_metrics(gt, detections)


def test_row_that_is_no_dictionary():
    gt, detections = one()
    with pytest.raises(ValueError, match="detection row 3: no 'image_id' in 5"):
        coco_metrics(gt, [*detections, 5])


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("bbox", [0, 0, math.inf, 1], "truth row 0: bbox is"),
        ("bbox", [0, 0, 1, -1], "truth row 0: bbox is .*width and height"),
        ("area", math.nan, "truth row 0: area is nan"),
        ("area", -1, "truth row 0: area is -1.0"),
        ("area", "big", "annotations row 0: area is 'big'; expected a number"),
        ("image_id", 1, "annotations row 0: image_id 1 is not among"),
        ("category_id", 1, "annotations row 0: category_id 1 is not among"),
    ],
)
def test_bad_truth(key, value, message):
    gt, detections = one()
    gt["annotations"][0][key] = value
    with pytest.raises(ValueError, match=message):
        coco_metrics(gt, detections)


@pytest.mark.parametrize("key", ["images", "categories", "annotations"])
def test_truth_without_a_list(key):
    gt, detections = one()
    del gt[key]
    with pytest.raises(ValueError, match=f"'{key}' is missing or no list"):
        coco_metrics(gt, detections)


def test_repeated_and_missing_ids():
    gt, detections = one()
    gt["images"].append({"id": 7})
    with pytest.raises(ValueError, match="images: the id 7 occurs more than once"):
        coco_metrics(gt, detections)
    gt["images"][1] = {"name": "x"}
    with pytest.raises(ValueError, match="images row 1: no 'id'"):
        coco_metrics(gt, detections)


def test_string_ids_and_shared_names():
    gt, detections = one()
    gt["images"] += [{"id": "b"}, {"id": 10}]
    gt["categories"].append({"id": 9, "name": "cat"})
    detections[0]["image_id"] = "b"
    result = coco_metrics(gt, detections)
    assert list(result["per_class"]) == ["cat (id 3)", "cat (id 9)"]
    assert read_truths(gt).image_ids == (7, 10, "b")  # numbers by size, then text


def test_columns_give_the_same_numbers(make_set):
    gt, detections = make_set(3, crowd=0.1)
    truths = read_truths(gt)
    assert coco_metrics(truths, read_detections(detections, truths)) == coco_metrics(gt, detections)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image": np.array([0, 1, 0])}, r"detection row 1: image position 1; expected 0 <= position < 1"),
        ({"category": np.array([0, 0, -1])}, "detection row 2: category position -1"),
        ({"category": np.zeros(3)}, r"detections: category is float64\(3,\); expected 3 integer"),
        ({"boxes_xywh": np.zeros((2, 4))}, r"detections: boxes have shape \(2, 4\); expected \(3, 4\)"),
        ({"score": np.array([0.1, np.nan, 0.2])}, "detection row 1: score is nan"),
    ],
)
def test_bad_columns(change, message):
    gt, _ = one()
    columns = {
        "image": np.zeros(3, np.int64),
        "category": np.zeros(3, np.int64),
        "boxes_xywh": np.zeros((3, 4)),
        "score": np.zeros(3),
    }
    with pytest.raises(ValueError, match=message):
        coco_metrics(gt, Detections(**{**columns, **change}))
