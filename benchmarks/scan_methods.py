"""Do the scan's methods agree with measured effects? Each ranks the same candidates, and each candidate is trained.

python -m benchmarks.scan_methods --keep methods.jsonl

The images are those of scan_planted, whose class is the colour of a mark far away. The measured effect of a candidate
is what it does to a whole training: the detector is trained from scratch with it and without it, with the same first
values and batches, on seeds that no scan sees, and both are measured on fresh images. A method agrees where its ranks
correlate with those effects. Parts that --keep has are not computed again; --part does a single one, so that several
processes can share the work.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats

from benchmarks.scan_planted import DETECTOR, PLACES, RIGHT, WRONG, images, trained
from engine.ops.nms_torch import non_max_suppression
from metrics import Detections, evaluate
from metrics.inputs import Truths
from models import Detector, read_spec
from study.scan.candidates import Candidate, expand
from study.scan.frozen_detector import FrozenDetector
from study.scan.halving import halve
from study.scan.ranking import rank
from study.scan.record import Record, drawing
from study.scan.scan_spec import DEFAULT_METHOD, METHODS, STEPS
from study.scan.scoring import BY_ERROR, divided, score_group

FIRST_MEASURED = 1000  # seeds of the trainings start here; scans have 0, 1, …
BATCH, RATE = 16, 5e-3
RESAMPLES = 2000


def drawn(each: int) -> list[Candidate]:
    """Return so many candidates of each mechanism, at places drawn at random."""
    candidates, _ = expand(Detector(read_spec({**DETECTOR}), seed=0), (*RIGHT, *WRONG), PLACES, "planted")
    random = np.random.default_rng(0)
    chosen = []
    for mechanism in (*RIGHT, *WRONG):
        own = [candidate for candidate in candidates if candidate.mechanism == mechanism]
        chosen += [own[number] for number in sorted(random.permutation(len(own))[:each])]
    return chosen


def scan_part(seed: int, method: str, candidates: Sequence[Candidate], options: argparse.Namespace) -> dict[str, Any]:
    """Score candidates by one method: their ranks' statistic, and its price in CPU seconds."""
    frozen = FrozenDetector(trained(seed, False, options.train_steps), *images(64, 2 * seed + 1, null=False))
    settings: dict[str, Any] = {"draws": 1, "seed": seed, "memory": 1024, "exchanged": False}
    started = time.process_time()

    def score(left: Sequence[Candidate], steps: int, _rung: int = 0) -> dict[str, Record]:
        records: dict[str, Record] = {}
        for group in divided(left, method):
            records |= score_group(frozen, group, method, steps=steps, **settings)
        return records

    steps = STEPS[method]
    records = halve(candidates, steps, score)[0] if method == "halving" else score(candidates, steps)
    seconds = time.process_time() - started
    ranked = rank(candidates, records, {}, seed, by_error=method in BY_ERROR)
    return {"ranks": {entry.candidate.name: entry.rank for entry in ranked}, "seconds": seconds}


def train_part(seed: int, candidates: Sequence[Candidate], options: argparse.Namespace) -> dict[str, Any]:
    """Train with each candidate and with none: what each adds to AP, and takes from the loss of fresh images."""
    started = time.process_time()
    base = whole_training(seed, None, options)
    found = {candidate.name: whole_training(seed, candidate, options) for candidate in candidates}
    seconds = (time.process_time() - started) / (1 + len(found))
    return {
        "AP": {name: values["AP"] - base["AP"] for name, values in found.items()},
        "loss": {name: base["loss"] - values["loss"] for name, values in found.items()},
        "base": base,
        "seconds": seconds,
    }


def whole_training(seed: int, candidate: Candidate | None, options: argparse.Namespace) -> dict[str, float]:
    """Train a detector from scratch, with a candidate from the first step on or without; AP and loss afterwards."""
    model = Detector(read_spec({**DETECTOR}), seed=seed)
    data = FrozenDetector(model, *images(128, 2 * seed, null=False), batch=BATCH)
    model.train().requires_grad_(True)
    placed = {}
    if candidate is not None:
        with drawing("measured", seed, candidate.name):
            placed[candidate.place] = candidate.build(identity=True).train()
    own = [parameter for modules in placed.values() for parameter in modules.parameters()]
    optimizer = torch.optim.Adam([*model.parameters(), *own], lr=RATE)
    with drawing("train", seed):
        numbers = [torch.randint(0, 128, (BATCH,)).tolist() for _ in range(options.train_steps)]
    with data.holding(placed):
        for some in numbers:
            loss = data.loss(some)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    for modules in placed.values():
        modules.eval()
    fresh = FrozenDetector(model, *images(200, 2 * seed + 1, null=False), batch=BATCH)
    with fresh.holding(placed), torch.no_grad():
        values = [float(fresh.loss(some)) * len(some) for some in fresh.batches(range(200))]
        return {"AP": average_precision(fresh), "loss": sum(values) / 200}


def average_precision(fresh: FrozenDetector) -> float:
    """Return AP of a detector on its images, with whatever stands in it at the moment."""
    size = fresh.images.shape[-1]
    head = fresh.model.model[-1]
    head.training = False
    found = [
        row
        for numbers in fresh.batches(range(len(fresh.images)))
        for row in non_max_suppression(fresh.model(fresh.images[numbers])[0], conf_thres=0.001, iou_thres=0.6, nc=2)
    ]
    head.training = True
    rows = torch.cat(found).double().numpy()
    image = np.repeat(np.arange(len(found)), [len(some) for some in found])
    boxes = np.column_stack((rows[:, :2], (rows[:, 2:4] - rows[:, :2]).clip(min=0)))
    truth = torch.cat(fresh.targets).double().numpy()
    true = np.column_stack((truth[:, 1:3] - truth[:, 3:5] / 2, truth[:, 3:5])) * size
    no = np.zeros(len(truth), dtype=bool)
    truths = Truths(
        image_ids=tuple(range(len(found))),
        category_ids=(0, 1),
        names=("0", "1"),
        image=np.arange(len(truth)),
        category=truth[:, 0].astype(np.int64),
        boxes_xywh=true,
        area=true[:, 2] * true[:, 3],
        crowd=no,
        difficult=no,
    )
    return float(evaluate(truths, Detections(image, rows[:, 5].astype(np.int64), boxes, rows[:, 4])).coco["AP"])


def summarise(parts: Mapping[str, Any], scans: Sequence[int], measured: Sequence[int], metric: str) -> list[str]:
    """Return a table's rows: each method's mean rank correlation over scans, and its distance to the default's.

    Candidates and the seeds of trainings are resampled; all methods share the resamples.
    """
    effects = np.array([list(parts[f"train {seed}"][metric].values()) for seed in measured])
    names = list(parts[f"train {measured[0]}"][metric])
    goodness = {
        method: -np.array([[parts[f"{method} {seed}"]["ranks"][name] for name in names] for seed in scans])
        for method in METHODS
    }
    random = np.random.default_rng(0)
    draws = [(np.arange(len(names)), np.arange(len(measured)))]
    draws += [
        (random.integers(0, len(names), len(names)), random.integers(0, len(measured), len(measured)))
        for _ in range(RESAMPLES)
    ]
    values = {
        method: np.array([agreement(scores[:, which], effects[seeds][:, which]) for which, seeds in draws])
        for method, scores in goodness.items()
    }
    rows = []
    for method, correlations in values.items():
        low, high = np.nanquantile(correlations[1:], [0.025, 0.975])
        behind = correlations - values[DEFAULT_METHOD]
        less, more = np.nanquantile(behind[1:], [0.025, 0.975])
        seconds = np.mean([parts[f"{method} {seed}"]["seconds"] for seed in scans])
        beside = "" if method == DEFAULT_METHOD else f"{behind[0]:+.2f} [{less:+.2f}, {more:+.2f}]"
        rows.append(f"| `{method}` | {correlations[0]:+.2f} [{low:+.2f}, {high:+.2f}] | {beside} | {seconds:.0f} |")
    return rows


def agreement(scores: np.ndarray, effects: np.ndarray) -> float:
    """Return the mean over scans of the rank correlation with the mean effect.

    Args:
        scores: (scans, candidates), more is better.
        effects: (seeds, candidates).
    """
    effect = stats.rankdata(effects.mean(0))
    return float(np.mean([np.corrcoef(ranks, effect)[0, 1] for ranks in stats.rankdata(scores, axis=1)]))


def main(argv: list[str] | None = None) -> int:
    """Compute what is not kept yet, and print the table of all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--each", type=int, default=4, help="candidates of each of the seven mechanisms")
    parser.add_argument("--scans", type=int, default=3, help="seeds of scans")
    parser.add_argument("--trainings", type=int, default=3, help="seeds of measured trainings")
    parser.add_argument("--train-steps", type=int, default=150)
    parser.add_argument(
        "--keep", type=Path, required=True, metavar="FILE", help="append each part, and go on from there"
    )
    parser.add_argument("--part", nargs="+", help="do only these, such as 'frozen 0' or 'train 1000'")
    options = parser.parse_args(argv)
    candidates = drawn(options.each)
    scans, measured = range(options.scans), range(FIRST_MEASURED, FIRST_MEASURED + options.trainings)
    wanted = [*(f"{method} {seed}" for seed in scans for method in METHODS), *(f"train {seed}" for seed in measured)]
    settings = [options.each, options.train_steps]
    for part in options.part or wanted:
        if part not in kept(options.keep, settings):
            what, seed = part.split()
            result = (
                train_part(int(seed), candidates, options)
                if what == "train"
                else scan_part(int(seed), what, candidates, options)
            )
            with options.keep.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"settings": settings, "part": part, "result": result}) + "\n")
            print(f"{part}: {result['seconds']:.1f} CPU seconds", flush=True)
    parts = kept(options.keep, settings)
    if set(wanted) <= set(parts):
        for metric in ("AP", "loss"):
            print(f"| method | rank correlation with effects on {metric} | beside `{DEFAULT_METHOD}` | CPU seconds |")
            print("\n".join(["|---|---|---|---|", *summarise(parts, scans, measured, metric)]))
    return 0


def kept(file: Path, settings: list[int]) -> dict[str, Any]:
    """Read the parts of the same settings that are done."""
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.is_file() else []
    return {line["part"]: line["result"] for line in lines if line["settings"] == settings}


if __name__ == "__main__":
    sys.exit(main())
