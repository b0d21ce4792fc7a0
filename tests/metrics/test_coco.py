"""COCO's numbers against pycocotools, reference values and hand-worked cases."""

import numpy as np
import pytest

from metrics import coco_metrics
from metrics.coco import EVALUATORS, STAT_NAMES

SETTINGS = [
    {
        "seed": seed,
        "images": [30, 12, 60, 3][seed % 4],
        "truths": [150, 40, 300, 90][seed % 4],
        "detections": [900, 4000, 2500, 1500][seed % 4],
        "classes": [4, 2, 20, 7, 3][seed % 5],
        "ties": seed % 2 == 0,
        "crowd": [0, 0.05, 0.4][seed % 3],
        "borders": seed % 3 != 1,
    }
    for seed in range(20)
]


def box(x, y, w, h, image=1, category=1, **more):
    return {"image_id": image, "category_id": category, "bbox": [x, y, w, h], **more}


def truth_of(*annotations, images=(1,), categories=(1,)):
    return {
        "images": [{"id": i} for i in images],
        "categories": [{"id": k, "name": str(k)} for k in categories],
        "annotations": list(annotations),
    }


def test_reference_values(parity):
    gt, detections, expected = parity
    result = coco_metrics(gt, detections)
    for name, value in zip(expected["coco"]["names"], expected["coco"]["stats"], strict=True):
        assert result[name] == pytest.approx(value, abs=1e-6), name
    for key, column in (("AP", "ap_per_class"), ("AP50", "ap50_per_class")):
        found = {name: row[key] for name, row in result["per_class"].items()}
        assert found == pytest.approx(expected["coco"][column], abs=1e-6)


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda s: f"seed{s['seed']}")
def test_equals_pycocotools(setting, make_set, reference):
    gt, detections = make_set(**setting)
    stats, precision = reference(gt, detections)
    expected = precision[..., -1].mean((0, 1))  # (K, A), -1 without objects
    for evaluator in EVALUATORS if setting["seed"] < 3 else EVALUATORS[:2]:
        result = coco_metrics(gt, detections, evaluator)
        np.testing.assert_allclose([result[name] for name in STAT_NAMES], stats, rtol=0, atol=1e-12)
        per_class = [[row[n] for n in ("AP", "APs", "APm", "APl")] for row in result["per_class"].values()]
        np.testing.assert_allclose(per_class, expected, rtol=0, atol=1e-12)


def test_random_sets_provoke_the_rules(make_set):
    """The sets above hold what they are meant to test."""
    sizes, most, crowds = set(), 0, 0
    for setting in SETTINGS:
        gt, detections = make_set(**setting)
        sizes |= {a["area"] for a in gt["annotations"]}
        crowds += sum(a["iscrowd"] for a in gt["annotations"])
        groups = [(d["image_id"], d["category_id"]) for d in detections]
        most = max(most, *(groups.count(group) for group in set(groups)))
    assert {32**2, 96**2} <= sizes
    assert most > 300
    assert crowds > 100


def test_hand_worked_case():
    """Right, wrong, right: precision 1, 1/2, 2/3 at recall 1/2, 1/2, 1."""
    gt = truth_of(box(0, 0, 10, 10), box(50, 50, 10, 10))
    detections = [box(0, 0, 10, 10, score=0.9), box(100, 0, 9, 9, score=0.8), box(50, 50, 10, 10, score=0.7)]
    result = coco_metrics(gt, detections)
    assert result["AP"] == pytest.approx((51 * 1 + 50 * 2 / 3) / 101, abs=1e-12)
    assert result["AR1"] == 0.5
    assert result["AR100"] == 1
    assert result["APs"] == result["AP"]
    assert result["APm"] == result["ARl"] == -1


def test_detection_in_crowd_is_neither_right_nor_wrong():
    gt = truth_of(box(0, 0, 10, 10), box(100, 100, 100, 100, iscrowd=1))
    hit = box(0, 0, 10, 10, score=0.5)
    inside = [box(110 + i, 110, 10, 10, score=0.9) for i in range(5)]
    assert coco_metrics(gt, [*inside, hit])["AP"] == pytest.approx(1)
    for row in gt["annotations"]:
        row["iscrowd"] = 0
    assert coco_metrics(gt, [*inside, hit])["AP"] < 0.2


@pytest.mark.parametrize("first", [0, 1])
def test_equal_overlaps_go_to_the_later_annotation(first, reference):
    """A detection between two objects takes the later one; a second then finds the first free, or not."""
    objects = [box(0, 0, 10, 10, id=1, area=100, iscrowd=0), box(4, 0, 10, 10, id=2, area=100, iscrowd=0)]
    gt = truth_of(objects[first], objects[1 - first])
    detections = [box(2, 0, 10, 10, score=0.9), box(0, 0, 10, 10, score=0.8)]
    result = coco_metrics(gt, detections)
    assert result["AR100"] == pytest.approx(reference(gt, detections)[0][8], abs=1e-12)
    assert result["AP50"] == pytest.approx([1, 51 / 101][first])


def test_annotation_id_zero_is_an_object_like_any_other(reference):
    """pycocotools takes a match with id 0 for a miss; the number of the annotation must not matter."""
    gt = truth_of(box(0, 0, 10, 10, id=0, area=100, iscrowd=0))
    detections = [box(0, 0, 10, 10, score=0.9)]
    assert reference(gt, detections)[0][0] == 0
    for evaluator in EVALUATORS:
        assert coco_metrics(gt, detections, evaluator)["AP"] == pytest.approx(1)


@pytest.mark.parametrize("evaluator", EVALUATORS)
def test_nothing_found(evaluator):
    result = coco_metrics(truth_of(box(0, 0, 10, 10)), [], evaluator)
    assert result["AP"] == result["AR100"] == 0
    assert result["APl"] == -1


@pytest.mark.parametrize("evaluator", EVALUATORS)
@pytest.mark.parametrize("detections", [[], [box(0, 0, 5, 5, score=0.5)]], ids=["none", "one"])
def test_nothing_to_find(evaluator, detections):
    result = coco_metrics(truth_of(), detections, evaluator)
    assert [result[name] for name in STAT_NAMES] == [-1] * 12


def test_class_without_truth_is_left_out_of_the_mean():
    gt = truth_of(box(0, 0, 10, 10), categories=(1, 2))
    result = coco_metrics(gt, [box(0, 0, 10, 10, score=0.9), box(0, 0, 10, 10, category=2, score=0.9)])
    assert result["AP"] == pytest.approx(1)
    assert result["per_class"]["2"]["AP"] == -1
    assert result["per_class"]["1"]["truths"] == 1


def test_only_the_best_hundred_of_image_and_class_count():
    gt = truth_of(box(0, 0, 10, 10), box(200, 0, 10, 10, category=2), categories=(1, 2))
    wrong = [box(300, 300, 5, 5, score=0.9) for _ in range(400)]
    hits = [box(0, 0, 10, 10, score=0.5), box(200, 0, 10, 10, category=2, score=0.5)]
    result = coco_metrics(gt, wrong + hits)
    assert result["per_class"]["1"]["AP"] == 0
    assert result["per_class"]["1"]["detections"] == 100
    assert result["per_class"]["2"]["AP"] == pytest.approx(1)
    assert result["per_class"]["1"]["AR100"] == 0


def test_missing_area_is_the_boxes():
    gt = truth_of(box(0, 0, 40, 40))
    assert coco_metrics(gt, [box(0, 0, 40, 40, score=1)])["APm"] == pytest.approx(1)


def test_unknown_evaluator():
    with pytest.raises(ValueError, match="evaluator 'coco' is unknown; choose one of table, faster-coco-eval"):
        coco_metrics(truth_of(), [], "coco")
