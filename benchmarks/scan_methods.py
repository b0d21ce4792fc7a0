"""Do the scan's methods agree with measured effects? Each ranks the same candidates, and each candidate is trained.

python -m benchmarks.scan_methods --keep methods.jsonl           # images of a planted truth, a small detector
python -m benchmarks.scan_methods --digits --keep digits.jsonl   # embedded digits, YOLOv5n from its weights for them

The planted images are those of scan_planted, whose class is the colour of a mark far away. The measured effect of a
candidate is what it does to a whole training: the detector is trained with it and without it, with the same first
values and batches, on seeds that no scan sees, and both are measured on fresh images. A method agrees where its ranks
correlate with those effects, which agree between seeds only so far themselves. Parts that --keep has are not computed
again; --part does a single one, so that several processes can share the work.
"""

import argparse
import json
import math
import sys
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats

from benchmarks.scan_trials import DIGITS, PLANTED, Trial, average_precision, train
from study.scan.candidates import Candidate, expand
from study.scan.frozen_detector import FrozenDetector
from study.scan.halving import halve
from study.scan.ranking import rank
from study.scan.record import Record
from study.scan.scan_spec import DEFAULT_METHOD, METHODS, STEPS
from study.scan.scoring import BY_ERROR, divided, score_group

FIRST_MEASURED = 1000  # seeds of the trainings start here; scans have 0, 1, …
RESAMPLES = 2000


def drawn(trial: Trial, each: int) -> list[Candidate]:
    """Return so many candidates of each mechanism, at places drawn at random."""
    candidates, _ = expand(trial.detector(0), trial.mechanisms, trial.places, "candidates")
    random = np.random.default_rng(0)
    chosen = []
    for mechanism in trial.mechanisms:
        own = [candidate for candidate in candidates if candidate.mechanism == mechanism]
        chosen += [own[number] for number in sorted(random.permutation(len(own))[:each])]
    return chosen


@lru_cache(maxsize=1)
def scanned_detector(trial: Trial, seed: int, steps: int) -> FrozenDetector:
    """Train the detector of a scan, and hold it with the scan's images; all methods see the same."""
    model, _ = train(trial, seed, None, steps)
    return FrozenDetector(model, *trial.scanned(seed))


def scan_part(trial: Trial, seed: int, method: str, candidates: Sequence[Candidate], steps: int) -> dict[str, Any]:
    """Score candidates by one method: their ranks, and its price in CPU seconds.

    Args:
        trial: what is tried.
        seed: of the scan.
        method: one of METHODS.
        candidates: all of them.
        steps: of the detector's training before the scan.
    """
    frozen = scanned_detector(trial, seed, steps)
    settings: dict[str, Any] = {"draws": 1, "seed": seed, "memory": 1024, "exchanged": False}
    started = time.process_time()

    def score(left: Sequence[Candidate], own: int, _rung: int = 0) -> dict[str, Record]:
        records: dict[str, Record] = {}
        for group in divided(left, method):
            records |= score_group(frozen, group, method, steps=own, **settings)
        return records

    scoring = STEPS[method]
    records = halve(candidates, scoring, score)[0] if method == "halving" else score(candidates, scoring)
    seconds = time.process_time() - started
    ranked = rank(candidates, records, {}, seed, by_error=method in BY_ERROR)
    return {"ranks": {entry.candidate.name: entry.rank for entry in ranked}, "seconds": seconds}


def train_part(trial: Trial, seed: int, candidates: Sequence[Candidate], steps: int) -> dict[str, Any]:
    """Train with each candidate and with none: what each adds to AP, and takes from the loss of fresh images."""
    started = time.process_time()
    base = measured(trial, seed, None, steps)
    found = {candidate.name: measured(trial, seed, candidate, steps) for candidate in candidates}
    seconds = (time.process_time() - started) / (1 + len(found))
    return {
        "AP": {name: values["AP"] - base["AP"] for name, values in found.items()},
        "loss": {name: base["loss"] - values["loss"] for name, values in found.items()},
        "base": base,
        "seconds": seconds,
    }


def measured(trial: Trial, seed: int, candidate: Candidate | None, steps: int) -> dict[str, float]:
    """Train a detector with a candidate or without; AP and loss on fresh images afterwards."""
    model, placed = train(trial, seed, candidate, steps)
    fresh = FrozenDetector(model, *trial.fresh(seed), batch=16)
    count = len(fresh.targets)
    with fresh.holding(placed), torch.no_grad():
        values = [float(fresh.loss(some)) * len(some) for some in fresh.batches(range(count))]
        return {"AP": average_precision(fresh, trial.classes), "loss": sum(values) / count}


def summarise(parts: Mapping[str, Any], scans: Sequence[int], trainings: Sequence[int], metric: str) -> list[str]:
    """Return a table's rows: each method's mean rank correlation over scans, and its distance to the default's.

    Candidates and the seeds of trainings are resampled; all methods share the resamples.
    """
    effects = np.array([list(parts[f"train {seed}"][metric].values()) for seed in trainings])
    names = list(parts[f"train {trainings[0]}"][metric])
    goodness = {
        method: -np.array([[parts[f"{method} {seed}"]["ranks"][name] for name in names] for seed in scans])
        for method in METHODS
    }
    random = np.random.default_rng(0)
    draws = [(np.arange(len(names)), np.arange(len(trainings)))]
    draws += [
        (random.integers(0, len(names), len(names)), random.integers(0, len(trainings), len(trainings)))
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


def spread(parts: Mapping[str, Any], trainings: Sequence[int], metric: str) -> str:
    """Say how large measured effects are, and how far a perfect method could agree with them."""
    effects = np.array([list(parts[f"train {seed}"][metric].values()) for seed in trainings])
    base = [parts[f"train {seed}"]["base"][metric] for seed in trainings]
    single, whole = reliability(effects)
    means = effects.mean(0)
    return (
        f"{metric} {np.mean(base):.3f} without a candidate; mean effects {means.min():+.4f} to {means.max():+.4f}; two "
        f"seeds order them alike by {single:+.2f}, so true ones would correlate with these means by {whole:.2f}"
    )


def reliability(effects: np.ndarray) -> tuple[float, float]:
    """Return how far seeds agree, and how far the truth could agree with their mean.

    Args:
        effects: (seeds, candidates), two seeds or more.

    Returns:
        Mean rank correlation r of two seeds, and √(n·r / (1 + (n - 1)·r)) of n seeds; 0 where r is not above 0.

    Source:
        Spearman, British Journal of Psychology 3, 1910; Brown, the same.
    """
    pairs = [stats.spearmanr(a, b).statistic for a, b in combinations(effects, 2)]
    r, n = float(np.mean(pairs)), len(effects)
    return r, math.sqrt(n * r / (1 + (n - 1) * r)) if r > 0 else 0.0


def main(argv: list[str] | None = None) -> int:
    """Compute what is not kept yet, and print the table of all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--digits", action="store_true", help="the embedded digits instead of planted images")
    parser.add_argument("--each", type=int, default=4, help="candidates of each mechanism")
    parser.add_argument("--scans", type=int, default=3, help="seeds of scans")
    parser.add_argument("--trainings", type=int, default=3, help="seeds of measured trainings")
    parser.add_argument("--train-steps", type=int, help="of each training; by default 150, 100 with --digits")
    parser.add_argument(
        "--keep", type=Path, required=True, metavar="FILE", help="append each part, and go on from there"
    )
    parser.add_argument("--part", nargs="+", help="do only these, such as 'frozen 0' or 'train 1000'")
    options = parser.parse_args(argv)
    trial = DIGITS if options.digits else PLANTED
    steps = options.train_steps or trial.steps
    candidates = drawn(trial, options.each)
    scans, trainings = range(options.scans), range(FIRST_MEASURED, FIRST_MEASURED + options.trainings)
    wanted = [*(f"{method} {seed}" for seed in scans for method in METHODS), *(f"train {seed}" for seed in trainings)]
    settings = [*([trial.name] if trial.name else []), options.each, steps]
    for part in options.part or wanted:
        if part not in kept(options.keep, settings):
            what, seed = part.split()
            result = (
                train_part(trial, int(seed), candidates, steps)
                if what == "train"
                else scan_part(trial, int(seed), what, candidates, steps)
            )
            with options.keep.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"settings": settings, "part": part, "result": result}) + "\n")
            print(f"{part}: {result['seconds']:.1f} CPU seconds", flush=True)
    parts = kept(options.keep, settings)
    if set(wanted) <= set(parts):
        for metric in ("AP", "loss"):
            print(f"| method | rank correlation with effects on {metric} | beside `{DEFAULT_METHOD}` | CPU seconds |")
            print("\n".join(["|---|---|---|---|", *summarise(parts, scans, trainings, metric)]))
            print(spread(parts, trainings, metric))
    return 0


def kept(file: Path, settings: list[Any]) -> dict[str, Any]:
    """Read the parts of the same settings that are done."""
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.is_file() else []
    return {line["part"]: line["result"] for line in lines if line["settings"] == settings}


if __name__ == "__main__":
    sys.exit(main())
