"""Curves over confidence and the confusion matrix against plain loops."""

import numpy as np
import pytest

from metrics import match, read_detections, read_truths
from metrics.curves import CONFIDENCES, confidence_curves, confusion_matrix
from metrics.iou import iou_of_pairs
from metrics.matching import IGNORED, RIGHT
from metrics.tide import loose_pairs


def parts(gt, detections):
    truths = read_truths(gt)
    columns = read_detections(detections, truths)
    table = match(truths, columns)
    return truths, columns, table


def test_curves_count_detections_above_the_confidence(make_set):
    gt, detections = make_set(2, ties=True, crowd=0.1)
    _, _, table = parts(gt, detections)
    curves = confidence_curves(table)
    assert curves.names == ("class 0", "class 1", "class 2")  # the last class has no truth
    for i, k in enumerate((0, 1, 2)):
        for at in (0, 100, 300, 500, 777, 1000):
            kept = (table.category == k) & (table.score >= CONFIDENCES[at]) & (table.state[0, 0] != IGNORED)
            right = int((kept & (table.state[0, 0] == RIGHT)).sum())
            objects = sum(a["category_id"] == k * 2 + 1 and not a["iscrowd"] for a in gt["annotations"])
            assert curves.precision[i, at] == (right / kept.sum() if kept.any() else 1)
            assert curves.recall[i, at] == right / objects
            p, r = curves.precision[i, at], curves.recall[i, at]
            assert curves.f1[i, at] == pytest.approx(2 * p * r / (p + r) if p + r else 0)


def test_best_operating_point():
    """Right at 0.8, wrong at 0.6, right at 0.4 of three objects: F1 is 1/2, 2/5 and 2/3."""
    gt = {
        "images": [{"id": 1}],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [{"image_id": 1, "category_id": 1, "bbox": [x, 0, 9, 9]} for x in (0, 20, 40)],
    }
    rows = [(0, 0.8), (90, 0.6), (20, 0.4)]
    _, _, table = parts(gt, [{"image_id": 1, "category_id": 1, "bbox": [x, 0, 9, 9], "score": s} for x, s in rows])
    best = confidence_curves(table).best()
    assert best["f1"] == pytest.approx(2 / 3)
    assert best["confidence"] == 0
    assert best["per_class"]["cat"]["recall"] == pytest.approx(2 / 3)


def test_no_class_with_objects():
    _, _, table = parts({"images": [{"id": 1}], "categories": [{"id": 1, "name": "cat"}], "annotations": []}, [])
    best = confidence_curves(table).best()
    assert (best["f1"], best["confidence"], best["per_class"]) == (-1, -1, {})


@pytest.mark.parametrize("seed", range(4))
def test_confusion_matrix_against_loops(seed, make_set):
    gt, detections = make_set(seed, classes=5, crowd=0.1 if seed == 3 else 0)
    truths, columns, table = parts(gt, detections)
    matrix = confusion_matrix(table, truths, loose_pairs(table, truths, columns), confidence=0.2, iou=0.4)
    expected = np.zeros((6, 6), dtype=int)
    for image in range(len(truths.image_ids)):
        rows = [r for r in range(len(table.row)) if table.image[r] == image and table.score[r] >= 0.2]
        objects = np.flatnonzero((truths.image == image) & ~truths.crowd)
        candidates = []
        for r in rows:
            boxes = np.repeat(columns.boxes_xywh[table.row[r]][None], len(objects), 0)
            overlaps = iou_of_pairs(boxes, truths.boxes_xywh[objects], np.zeros(len(objects), bool))
            candidates += [(overlap, r, g) for overlap, g in zip(overlaps, objects, strict=True) if overlap > 0.4]
        used_rows, used_objects = set(), set()
        for _, r, g in sorted(candidates, key=lambda c: (-c[0], -table.score[c[1]])):
            if r not in used_rows and g not in used_objects:
                used_rows.add(r)
                used_objects.add(g)
                expected[table.category[r], truths.category[g]] += 1
        for r in rows:
            if r not in used_rows and table.state[0, 0, r] != IGNORED:
                expected[table.category[r], 5] += 1
        for g in objects:
            expected[5, truths.category[g]] += g not in used_objects
    np.testing.assert_array_equal(matrix, expected)
    assert expected[:5, :5].trace() > 20
