"""Measure time and memory of COCO's numbers against pycocotools and faster-coco-eval.

    python benchmarks/metrics.py [--images 5000 --truths 36000 --detections 300000]

Each evaluator runs in a process of its own on the same dictionaries; processor time and memory are what it adds to
them. It takes about two minutes, on Linux; the goal is at most a third of pycocotools' time and no more memory.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import machine

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)  # instead of this folder, where "metrics" would be this file
CLASSES = 80
SUBJECTS = ("pycocotools", "faster-coco-eval", "coco_metrics", "evaluate")
SAYS = {
    "pycocotools": "pycocotools, called directly",
    "faster-coco-eval": "faster-coco-eval, called directly",
    "coco_metrics": "metrics.coco_metrics: the same 12 numbers and classes",
    "evaluate": "metrics.evaluate: VOC, error kinds, curves, confusion as well",
}


def made_up_set(images: int, truths: int, detections: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A set of COCO's proportions: log-normal box sizes, two thirds of the detections near a true box."""
    rng = np.random.default_rng(0)
    image, category = rng.integers(0, images, truths), rng.integers(0, CLASSES, truths)
    size = np.exp(rng.normal(3.8, 0.9, (truths, 2))).clip(2, 400)
    box = np.concatenate([rng.random((truths, 2)) * [640, 480], size], axis=1)
    near = rng.integers(0, truths, detections)
    spread = rng.choice([0.02, 0.05, 0.1, 0.3], detections)[:, None]
    boxes = box[near] + rng.normal(0, 1, (detections, 4)) * spread * box[near][:, [2, 3, 2, 3]]
    boxes[:, 2:] = np.abs(boxes[:, 2:]) + 0.1
    hit = rng.random(detections) < 0.65
    where = np.where(hit, image[near], rng.integers(0, images, detections))
    what = np.where(rng.random(detections) < 0.8, category[near], rng.integers(0, CLASSES, detections))
    score = rng.random(detections) * np.where(hit, 1, 0.5)
    gt: dict[str, Any] = {
        "images": [{"id": i} for i in range(images)],
        "categories": [{"id": k, "name": str(k)} for k in range(CLASSES)],
        "annotations": [
            {"id": i + 1, "image_id": a, "category_id": k, "bbox": b, "area": b[2] * b[3], "iscrowd": int(c)}
            for i, (a, k, b, c) in enumerate(
                zip(image.tolist(), category.tolist(), box.tolist(), (rng.random(truths) < 0.01).tolist(), strict=True)
            )
        ],
    }
    columns = (where.tolist(), what.tolist(), boxes.tolist(), score.tolist())
    return gt, [{"image_id": a, "category_id": k, "bbox": b, "score": s} for a, k, b, s in zip(*columns, strict=True)]


def measure(subject: str, gt: dict[str, Any], detections: list[dict[str, Any]]) -> dict[str, Any]:
    """Run one evaluator in this process."""
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    start = time.process_time()
    if subject in ("pycocotools", "faster-coco-eval"):
        stats = library(subject, gt, detections)
    else:
        from metrics import coco_metrics, evaluate
        from metrics.coco import STAT_NAMES

        result = coco_metrics(gt, detections) if subject == "coco_metrics" else evaluate(gt, detections).coco
        stats = [result[name] for name in STAT_NAMES]
    seconds = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"seconds": seconds, "mib": (peak * 1024 - resident) / 2**20, "stats": stats}


def library(subject: str, gt: dict[str, Any], detections: list[dict[str, Any]]) -> list[float]:
    """The library as its own manual says to call it."""
    if subject == "pycocotools":
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    else:
        from faster_coco_eval import COCO
        from faster_coco_eval import COCOeval_faster as COCOeval
    truth = COCO()
    truth.dataset = gt
    truth.createIndex()
    run = COCOeval(truth, truth.loadRes(detections), "bbox")
    run.evaluate()
    run.accumulate()
    run.summarize()
    return [float(value) for value in run.stats[:12]]


def main() -> None:
    """Measure every evaluator and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--truths", type=int, default=36000)
    parser.add_argument("--detections", type=int, default=300000)
    parser.add_argument("--subject", choices=SUBJECTS, help="measure one evaluator and print JSON")
    args = parser.parse_args()
    if args.subject:
        result = measure(args.subject, *made_up_set(args.images, args.truths, args.detections))
        print("\n" + json.dumps(result))
        return
    size = ["--images", str(args.images), "--truths", str(args.truths), "--detections", str(args.detections)]
    print(f"{args.images} images, {args.truths} objects, {args.detections} detections, {CLASSES} classes; {machine()}")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    base: dict[str, Any] = {}
    for subject in SUBJECTS:
        command = [sys.executable, __file__, *size, "--subject", subject]
        run = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        result = json.loads(run.stdout.splitlines()[-1])
        base = base or result
        off = max(abs(a - b) for a, b in zip(result["stats"], base["stats"], strict=True))
        print(
            f"{SAYS[subject]:<64} {result['seconds']:6.1f} s = {result['seconds'] / base['seconds']:5.3f} ×   "
            f"{result['mib']:6.0f} MiB = {result['mib'] / base['mib']:5.3f} ×   largest difference {off:.0e}"
        )


if __name__ == "__main__":
    main()
