"""Data sets for the tests of metrics: random ones that provoke every rule, and the reference that judges them."""

from __future__ import annotations

import contextlib
import copy
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Dataset = tuple[dict[str, Any], list[dict[str, Any]]]


def random_set(
    seed: int,
    images: int = 30,
    truths: int = 150,
    detections: int = 900,
    classes: int = 4,
    ties: bool = False,
    crowd: float = 0.0,
    difficult: float = 0.0,
    borders: bool = False,
) -> Dataset:
    """Truths and detections around them, some in the wrong class or nowhere.

    The last class and the last two images have no truth; ids have gaps. `ties` rounds scores to tenths, `borders` puts
    boxes on whole pixels with areas of exactly 32² and 96², so that sizes and overlaps fall on limits.
    """
    rng = np.random.default_rng(seed)
    image = rng.integers(0, max(images - 2, 1), truths)
    category = rng.integers(0, max(classes - 1, 1), truths)
    size = np.exp(rng.normal(3.8, 0.9, (truths, 2))).clip(2, 400)
    corner = rng.random((truths, 2)) * [640, 480]
    if borders:
        size[rng.random(truths) < 0.6] = rng.choice([[32, 32], [96, 96], [64, 16]], 1)[0]
        size, corner = np.round(size), np.round(corner)
    box = np.concatenate([corner, size], axis=1)
    area = size.prod(1) * (1 if borders else rng.uniform(0.5, 1, truths))
    annotations = [
        {
            "id": i + 1,
            "image_id": int(image[i]) * 3 + 5,
            "category_id": int(category[i]) * 2 + 1,
            "bbox": box[i].tolist(),
            "area": float(area[i]),
            "iscrowd": int(rng.random() < crowd),
            "difficult": int(rng.random() < difficult),
        }
        for i in range(truths)
    ]
    near = rng.integers(0, max(truths, 1), detections) if truths else np.zeros(detections, int)
    around = box[near] if truths else np.ones((detections, 4)) * 20
    spread = rng.choice([0, 0.03, 0.1, 0.3], detections)[:, None] * around[:, [2, 3, 2, 3]]
    found = around + rng.normal(0, 1, (detections, 4)) * spread
    if borders:
        found = np.round(found)
    found[:, 2:] = np.abs(found[:, 2:])
    hit = rng.random(detections) < 0.7
    where = np.where(hit & (truths > 0), image[near] if truths else 0, rng.integers(0, images, detections))
    what = np.where(rng.random(detections) < 0.8, category[near] if truths else 0, rng.integers(0, classes, detections))
    score = (rng.permutation(detections) + 1) / (detections + 1) * np.where(hit, 1, np.sqrt(0.5))
    score = np.round(score, 1) if ties else score
    results = [
        {
            "image_id": int(where[i]) * 3 + 5,
            "category_id": int(what[i]) * 2 + 1,
            "bbox": found[i].tolist(),
            "score": float(score[i]),
        }
        for i in range(detections)
    ]
    gt = {
        "images": [{"id": i * 3 + 5} for i in range(images)],
        "categories": [{"id": k * 2 + 1, "name": f"class {k}"} for k in range(classes)],
        "annotations": annotations,
    }
    return gt, results


def pycocotools_numbers(gt: dict[str, Any], detections: list[dict[str, Any]]) -> Any:
    """pycocotools itself: (12,) numbers and its precision array (T, R, K, A, M)."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth = COCO()
    truth.dataset = copy.deepcopy(gt)
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        run = COCOeval(truth, truth.loadRes(copy.deepcopy(detections)), "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
    return np.array(run.stats), run.eval["precision"]


@pytest.fixture(scope="session")
def make_set() -> Callable[..., Dataset]:
    """The generator of random data sets."""
    return random_set


@pytest.fixture(scope="session")
def reference() -> Callable[..., Any]:
    """pycocotools."""
    return pycocotools_numbers


@pytest.fixture(scope="session")
def parity(shared: Path) -> tuple[dict[str, Any], list[dict[str, Any]], dict[str, Any]]:
    """Truth, detections and the expected numbers of ../shared/parity/map."""
    gt, detections, expected = (
        json.loads((shared / "parity/map" / f"{n}.json").read_text()) for n in ("gt", "dets", "expected")
    )
    return gt, detections, expected
