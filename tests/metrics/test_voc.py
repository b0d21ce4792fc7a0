"""VOC's AP against reference values, an independent implementation and hand-worked cases."""

import numpy as np
import pytest

from metrics import voc_ap


def plain_voc(gt, detections, use_07, threshold, plus_one):
    """VOC's evaluation written as the loops of its description; AP by class id, None without objects."""
    result = {}
    for category in gt["categories"]:
        objects = {}
        for row in gt["annotations"]:
            if row["category_id"] == category["id"]:
                objects.setdefault(row["image_id"], []).append({**row, "seen": False})
        wanted = sum(not o["difficult"] for image in objects.values() for o in image)
        ranked = [d for d in detections if d["category_id"] == category["id"]]
        ranked.sort(key=lambda d: -d["score"])  # stable
        outcomes = plain_outcomes(objects, ranked, threshold, plus_one)
        result[category["id"]] = plain_area(outcomes, wanted, use_07) if wanted else None
    return result


def plain_outcomes(objects, ranked, threshold, plus_one):
    """Right or wrong, by falling score, without the detections on difficult objects."""
    outcomes = []
    for found in ranked:
        best, most = None, 0.0
        for candidate in objects.get(found["image_id"], []):
            overlap = plain_overlap(found["bbox"], candidate["bbox"], 1 if plus_one else 0)
            if overlap > most:
                best, most = candidate, overlap
        if best is None or most <= threshold:
            outcomes.append(False)
        elif not best["difficult"]:
            outcomes.append(not best["seen"])
            best["seen"] = True
    return outcomes


def plain_overlap(first, second, one):
    x, y, w, h = first
    u, v, p, q = second
    across = min(x + w, u + p) - max(x, u) + one
    down = min(y + h, v + q) - max(y, v) + one
    if across <= 0 or down <= 0:
        return 0.0
    return across * down / ((w + one) * (h + one) + (p + one) * (q + one) - across * down)


def plain_area(outcomes, wanted, use_07):
    points, right = [], 0
    for n, outcome in enumerate(outcomes, 1):
        right += outcome
        points.append((right / wanted, right / n))
    if use_07:
        levels = [i * 0.1 for i in range(11)]
        return sum(max((p for r, p in points if r >= level), default=0.0) for level in levels) / 11
    area, before = 0.0, 0.0
    for i, (recall, _) in enumerate(points):
        area += (recall - before) * max(p for _, p in points[i:])
        before = recall
    return area


@pytest.mark.parametrize(("key", "plus_one"), [("voc", False), ("voc_plus_one", True)])
@pytest.mark.parametrize(("year", "use_07"), [("07", True), ("12", False)])
def test_reference_values(parity, key, plus_one, year, use_07):
    gt, detections, expected = parity
    result = voc_ap(gt, detections, use_07, plus_one=plus_one)
    assert result["mAP"] == pytest.approx(expected[key][f"mAP{year}"], abs=1e-6)
    for name, row in expected[key]["per_class"].items():
        assert result["per_class"][name] == pytest.approx(row[f"ap{year}"], abs=1e-6)
        assert (result["truths"][name], result["detections"][name]) == (row["npos"], row["ndet"])


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("use_07", [True, False])
@pytest.mark.parametrize("plus_one", [True, False])
def test_equals_independent_implementation(seed, use_07, plus_one, make_set):
    gt, detections = make_set(
        seed, ties=seed % 2 == 0, difficult=[0.0, 0.3, 0.9][seed % 3], borders=seed % 4 < 2, detections=600, crowd=0.1
    )
    threshold = [0.5, 0.3, 0.75][seed % 3]
    expected = plain_voc(gt, detections, use_07, threshold, plus_one)
    result = voc_ap(gt, detections, use_07, threshold, plus_one)
    assert list(result["per_class"].values()) == pytest.approx(
        [-1 if ap is None else ap for ap in expected.values()], abs=1e-12
    )
    assert result["mAP"] == pytest.approx(np.mean([ap for ap in expected.values() if ap is not None]), abs=1e-12)


def scene(*boxes, difficult=()):
    return {
        "images": [{"id": 1}],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [
            {"image_id": 1, "category_id": 1, "bbox": list(b), "difficult": int(i in difficult)}
            for i, b in enumerate(boxes)
        ],
    }


def found(*rows):
    return [{"image_id": 1, "category_id": 1, "bbox": list(row[:4]), "score": row[4]} for row in rows]


def test_hand_worked_case():
    """Right, wrong, right of two: precision 1 up to recall 1/2 (6 of 11 levels), then 2/3."""
    gt = scene((0, 0, 10, 10), (50, 50, 10, 10))
    detections = found((0, 0, 10, 10, 0.9), (90, 0, 9, 9, 0.8), (50, 50, 10, 10, 0.7))
    assert voc_ap(gt, detections, use_07=True)["mAP"] == pytest.approx((6 * 1 + 5 * 2 / 3) / 11)
    assert voc_ap(gt, detections)["mAP"] == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)


def test_eleven_recalls_are_sums_of_a_tenth():
    """Three of ten found: 3 / 10 is below 0.1 + 0.1 + 0.1, so the precision of 1 holds at 0, 0.1 and 0.2 only."""
    gt = scene(*[(20 * i, 0, 10, 10) for i in range(10)])
    detections = found(*[(20 * i, 0, 10, 10, 0.9 - i / 10) for i in range(3)])
    assert voc_ap(gt, detections, use_07=True)["mAP"] == pytest.approx(3 / 11)


def test_difficult_objects_do_not_count():
    gt = scene((0, 0, 10, 10), (50, 50, 10, 10), difficult=(1,))
    on_difficult = found((50, 50, 10, 10, 0.9), (50, 50, 10, 10, 0.8))
    result = voc_ap(gt, [*on_difficult, *found((0, 0, 10, 10, 0.5))])
    assert result["mAP"] == 1
    assert result["truths"] == {"cat": 1}
    assert result["detections"] == {"cat": 3}
    assert voc_ap(gt, [])["mAP"] == 0


def test_only_difficult_objects_means_nothing_to_find():
    result = voc_ap(scene((0, 0, 10, 10), difficult=(0,)), found((0, 0, 10, 10, 0.5)))
    assert result["mAP"] == -1
    assert result["per_class"] == {"cat": -1}


def test_second_detection_of_an_object_is_wrong_even_if_another_is_free():
    """VOC looks at the object of largest overlap only; COCO would hand on the second detection."""
    gt = scene((0, 0, 10, 10), (0, 1, 10, 10))
    detections = found((0, 0, 10, 10, 0.9), (0, 0.2, 10, 10, 0.8))
    assert voc_ap(gt, detections)["mAP"] == 0.5


@pytest.mark.parametrize(("second", "expected"), [(0, 0.5), (4, 1)])
def test_equal_overlaps_go_to_the_first_annotation(second, expected):
    """The detection between two objects takes the first annotated; the next is right on the other one only."""
    gt = scene((0, 0, 10, 10), (4, 0, 10, 10))
    detections = found((2, 0, 10, 10, 0.9), (second, 0, 10, 10, 0.8))
    assert voc_ap(gt, detections)["mAP"] == expected


def test_inclusive_pixels_change_the_overlap():
    """Corners 0–9 and 0–4: 50 % of 9 × 9 against 4 × 9 is 0.44; counted inclusively it is 5 × 10 of 10 × 10."""
    gt = scene((0, 0, 9, 9))
    detections = found((0, 0, 4, 9, 0.9))
    assert voc_ap(gt, detections, iou=0.49)["mAP"] == 0
    assert voc_ap(gt, detections, iou=0.49, plus_one=True)["mAP"] == 1
    assert voc_ap(gt, detections, iou=0.5, plus_one=True)["mAP"] == 0  # equal is not enough


def test_there_is_no_limit_on_detections():
    gt = scene((0, 0, 10, 10))
    wrong = found(*[(90, 90, 5, 5, 0.9)] * 300)
    assert voc_ap(gt, [*wrong, *found((0, 0, 10, 10, 0.1))])["mAP"] == pytest.approx(1 / 301)


@pytest.mark.parametrize("iou", [0, 1, -0.5, float("nan")])
def test_threshold_out_of_range(iou):
    with pytest.raises(ValueError, match="is not between 0 and 1"):
        voc_ap(scene(), [], iou=iou)
