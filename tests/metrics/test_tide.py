"""Error kinds and their costs against the authors' own program and hand-made scenes."""

import json
from pathlib import Path

import numpy as np
import pytest

from metrics import coco_metrics, plot_tide, tide_errors
from metrics.tide import KINDS

SHORT = dict(zip(("Cls", "Loc", "Both", "Dupe", "Bkg", "Miss"), KINDS, strict=True))
SETS = json.loads((Path(__file__).parent / "tide_reference.json").read_text())["sets"]


def scene(truths, detections, categories=(1, 2)):
    """COCO forms from rows image, class, x, y, w, h(, score)."""
    gt = {
        "images": [{"id": 1}, {"id": 2}],
        "categories": [{"id": k, "name": str(k)} for k in categories],
        "annotations": [{"image_id": i, "category_id": k, "bbox": box} for i, k, *box in truths],
    }
    return gt, [{"image_id": i, "category_id": k, "bbox": box, "score": s} for i, k, *box, s in detections]


@pytest.mark.parametrize("case", SETS, ids=range(len(SETS)))
def test_equals_the_authors_program(case, monkeypatch):
    """tidecv reads the curve at x / 100, COCO at linspace's values, which differ in the last bit at some recalls."""
    monkeypatch.setattr("metrics.average_precision.RECALLS", np.array([x / 100 for x in range(101)]))
    gt, detections = scene(case["truths"], case["detections"], case["categories"])
    gt["images"] = [{"id": i} for i in case["images"]]
    result = tide_errors(gt, detections)
    assert result["AP50"] == pytest.approx(case["AP50"], abs=1e-12)
    assert result["counts"] == {SHORT[name]: count for name, count in case["counts"].items()}
    assert result["dAP"] == pytest.approx({SHORT[name]: gain for name, gain in case["dAP"].items()}, abs=1e-12)
    assert result["special"]["false_positive"] == pytest.approx(case["special"]["FalsePos"], abs=1e-12)
    assert result["special"]["false_negative"] == pytest.approx(case["special"]["FalseNeg"], abs=1e-12)


HIT = (1, 1, 0, 0, 10, 10, 0.5)


@pytest.mark.parametrize(
    ("kind", "truths", "detections"),
    [
        ("classification", [(1, 1, 0, 0, 10, 10), (1, 2, 50, 50, 10, 10)], [HIT, (1, 1, 50, 50, 10, 10, 0.9)]),
        ("localisation", [(1, 1, 0, 0, 10, 10), (1, 1, 50, 50, 10, 10)], [HIT, (1, 1, 55, 50, 10, 10, 0.9)]),
        ("both", [(1, 1, 0, 0, 10, 10), (1, 2, 50, 50, 10, 10)], [HIT, (1, 1, 55, 50, 10, 10, 0.9)]),
        ("duplicate", [(1, 1, 0, 0, 10, 10)], [HIT, (1, 1, 0, 0, 10, 10, 0.4)]),
        ("background", [(1, 1, 0, 0, 10, 10)], [HIT, (1, 1, 50, 50, 10, 10, 0.9)]),
        ("background", [(1, 1, 0, 0, 10, 10)], [HIT, (2, 1, 0, 0, 10, 10, 0.9)]),
        ("missed", [(1, 1, 0, 0, 10, 10), (2, 1, 0, 0, 10, 10)], [HIT]),
    ],
)
def test_one_error_of_one_kind(kind, truths, detections):
    counts = tide_errors(*scene(truths, detections))["counts"]
    expected = dict.fromkeys(KINDS, 0) | {kind: 1}
    # An object that is only confused with the background and another class is missed as well.
    expected["missed"] += kind == "both"
    assert counts == expected


def test_cost_worked_by_hand():
    """A wrong detection above the right one halves AP; taking it away gives 1. A missed object leaves 51 of 101."""
    result = tide_errors(*scene([(1, 1, 0, 0, 10, 10)], [HIT, (1, 1, 50, 50, 10, 10, 0.9)]))
    assert result["AP50"] == pytest.approx(0.5)
    assert result["dAP"]["background"] == pytest.approx(0.5)
    assert result["special"] == pytest.approx({"false_positive": 0.5, "false_negative": 0})
    result = tide_errors(*scene([(1, 1, 0, 0, 10, 10), (2, 1, 0, 0, 10, 10)], [HIT]))
    assert result["AP50"] == pytest.approx(51 / 101)
    assert result["dAP"]["missed"] == pytest.approx(50 / 101)


def test_mended_class_finds_the_object_once():
    """Two detections of the wrong class on one object: the better becomes right, the other goes."""
    truths = [(1, 1, 0, 0, 10, 10), (1, 2, 50, 50, 10, 10)]
    wrong = [(1, 1, 50, 50, 10, 10, 0.9), (1, 1, 51, 50, 10, 10, 0.8)]
    result = tide_errors(*scene(truths, [HIT, *wrong]))
    assert result["counts"]["classification"] == 2
    # Class 1 rises from 1/3 to 1, class 2 from 0 to 1.
    assert result["dAP"]["classification"] == pytest.approx(1 - (1 / 3 + 0) / 2)


def test_detections_in_crowds_are_no_errors():
    gt, detections = scene([(1, 1, 0, 0, 10, 10), (1, 1, 100, 100, 90, 90)], [HIT, (1, 1, 120, 120, 10, 10, 0.9)])
    assert tide_errors(gt, detections)["counts"]["background"] == 1
    gt["annotations"][1]["iscrowd"] = 1
    assert tide_errors(gt, detections)["counts"] == dict.fromkeys(KINDS, 0)


def test_crowds_are_no_objects_to_miss_narrowly():
    """Less than half inside a crowd: wrong, and with nothing else near it is background, not localisation."""
    gt, detections = scene([(1, 1, 0, 0, 10, 10), (1, 1, 100, 100, 90, 90)], [HIT, (1, 1, 150, 100, 90, 90, 0.9)])
    assert tide_errors(gt, detections)["counts"]["localisation"] == 1
    gt["annotations"][1]["iscrowd"] = 1
    assert tide_errors(gt, detections)["counts"] == dict.fromkeys(KINDS, 0) | {"background": 1}


def test_base_is_cocos_ap50(make_set):
    gt, detections = make_set(4, crowd=0.2, ties=True, borders=True)
    assert tide_errors(gt, detections)["AP50"] == pytest.approx(coco_metrics(gt, detections)["AP50"], abs=1e-12)


def test_nothing_at_all():
    result = tide_errors(*scene([], []))
    assert result["counts"] == dict.fromkeys(KINDS, 0)
    assert set(result["dAP"].values()) == {0}
    assert tide_errors(*scene([(1, 1, 0, 0, 10, 10)], []))["counts"]["missed"] == 1


def test_plot(tmp_path):
    import cv2

    results = {"base": tide_errors(*scene([(1, 1, 0, 0, 10, 10)], [HIT, (1, 1, 50, 50, 10, 10, 0.9)]))}
    plot_tide(results, tmp_path / "one.png")
    plot_tide(results | {"attention": results["base"]}, tmp_path / "two.png")
    one, two = (cv2.imread(str(tmp_path / f"{name}.png")) for name in ("one", "two"))
    assert one.shape == two.shape
    assert len(np.unique(two.reshape(-1, 3), axis=0)) > len(np.unique(one.reshape(-1, 3), axis=0))
