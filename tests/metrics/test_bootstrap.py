"""AP of resampled images against a full evaluation of data sets that hold the copies."""

from collections import Counter

import numpy as np
import pytest

from metrics import bootstrap_ap, coco_metrics, image_resamples, match, read_detections, read_truths


def with_copies(gt, detections, counts):
    """The data set in which image i occurs counts[i] times, copies side by side in image order."""
    copies, new = {}, 0
    for image, count in zip(gt["images"], counts, strict=True):
        copies[image["id"]] = list(range(new, new + count))
        new += count
    annotations = [{**row, "image_id": i} for row in gt["annotations"] for i in copies[row["image_id"]]]
    found = [{**row, "image_id": i} for row in detections for i in copies[row["image_id"]]]
    images = [{"id": i} for i in range(new)]
    return {**gt, "images": images, "annotations": annotations}, found


@pytest.mark.parametrize(
    ("seed", "options"),
    [
        (0, {}),
        (1, {"ties": True, "borders": True}),
        (2, {"crowd": 0.3, "ties": True}),
        (3, {"classes": 6, "truths": 12, "images": 9, "detections": 60}),
    ],
)
def test_equals_full_recomputation(seed, options, make_set):
    gt, detections = make_set(seed, **options)
    if options.get("ties"):  # between images only
        place = Counter()
        for row in detections:
            row["score"] += place[row["image_id"]] / 1000
            place[row["image_id"]] += 1
    truths = read_truths(gt)
    table = match(truths, read_detections(detections, truths))
    counts = image_resamples(len(gt["images"]), 12, seed)
    result = bootstrap_ap(table, counts)
    for b, row in enumerate(counts):
        full = coco_metrics(*with_copies(gt, detections, row))
        assert result["AP50"][b] == pytest.approx(full["AP50"], abs=1e-12)
        assert result["AP"][b] == pytest.approx(full["AP"], abs=1e-12)
    only = bootstrap_ap(table, counts, ap50_only=True)
    assert list(only) == ["AP50"]
    np.testing.assert_array_equal(only["AP50"], result["AP50"])


def test_every_image_once_is_the_data_set_itself(parity):
    gt, detections, expected = parity
    truths = read_truths(gt)
    table = match(truths, read_detections(detections, truths))
    result = bootstrap_ap(table, np.ones((1, len(gt["images"])), dtype=np.int64))
    assert result["AP"][0] == pytest.approx(expected["coco"]["stats"][0], abs=1e-12)
    assert result["AP50"][0] == pytest.approx(expected["coco"]["stats"][1], abs=1e-12)


def test_parts_make_no_difference(make_set, monkeypatch):
    gt, detections = make_set(5, crowd=0.1)
    truths = read_truths(gt)
    table = match(truths, read_detections(detections, truths))
    counts = image_resamples(len(gt["images"]), 7, 0)
    whole = bootstrap_ap(table, counts)
    monkeypatch.setattr("metrics.bootstrap.CELLS", 1)
    np.testing.assert_array_equal(bootstrap_ap(table, counts)["AP"], whole["AP"])


def test_resample_without_objects_is_undefined(make_set):
    gt, detections = make_set(0)
    truths = read_truths(gt)
    table = match(truths, read_detections(detections, truths))
    counts = np.zeros((2, len(gt["images"])), dtype=np.int64)
    counts[0, -1] = counts[1, 0] = 30  # the last image has no truth
    result = bootstrap_ap(table, counts)
    assert np.isnan(result["AP"]).tolist() == [True, False]


def test_resamples_are_paired_and_whole():
    counts = image_resamples(50, 400, 3)
    np.testing.assert_array_equal(counts, image_resamples(50, 400, 3))
    assert set(counts.sum(1)) == {50}
    assert counts.mean() == 1
    assert counts.var() == pytest.approx(0.98, rel=0.05)  # of one of 50 draws of probability 1/50


def test_wrong_number_of_images(make_set):
    gt, detections = make_set(0)
    truths = read_truths(gt)
    table = match(truths, read_detections(detections, truths))
    with pytest.raises(ValueError, match=r"counts have shape \(5, 9\); expected \(resamples, 30 images\)"):
        bootstrap_ap(table, image_resamples(9, 5, 0))
