"""Does the scan find a mechanism that is known to help? A planted truth, and a null where nothing can help.

python -m benchmarks.scan_planted --seeds 20                                   # how high does the best right one stand
python -m benchmarks.scan_planted --null --seeds 240 --steps 15 --images 32    # are p-values uniform without effects

Every image holds one square, whose class is the colour of a mark far outside the receptive field of the detector's
outputs. The detector finds the squares and cannot know the class. Mechanisms that pool the whole map can carry the
mark's colour to the square; those that work on a neighbourhood, or on each position by itself, cannot. In the null
images are noise and labels are drawn without regard to them. With --keep FILE each seed is appended as it ends, and a
second start goes on with the seeds that are not there yet.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from models import Detector, read_spec
from study.scan.candidates import Candidate, expand
from study.scan.frozen_detector import FrozenDetector
from study.scan.ranking import Ranked, better_p, rank
from study.scan.record import Record, drawing, seed_of
from study.scan.scan_spec import METHODS
from study.scan.scoring import BY_ERROR, divided, score_group
from study.scan.size_controls import plain_control

SIZE, SQUARE, MARK = 64, 12, 10  # pixels
DETECTOR = {
    "nc": 2,
    "anchors": [[12, 12]],
    "backbone": [
        [-1, 1, "Conv", [12, 3, 2]],
        [-1, 1, "Conv", [16, 3, 2]],
        [-1, 1, "Conv", [24, 3, 2]],
        [-1, 1, "Conv", [24, 1, 1]],
    ],
    "head": [
        [-1, 1, "Conv", [24, 1, 1]],
        [[-1, 2], 1, "Concat", [1]],
        [-1, 1, "Conv", [32, 1, 1]],
        [[-1], 1, "Detect", ["nc", "anchors"]],
    ],
}
RIGHT = ("SE", "GC", "EffectiveSE")
WRONG = ("SpatialAttention{kernel_size: 3}", "SimAM", "PlainConv", "torch.nn.PReLU")
PLACES = ("rows", "insides", "connections")


def images(count: int, seed: int, null: bool) -> tuple[Tensor, list[Tensor]]:
    """Draw images and their targets.

    Args:
        count: of images.
        seed: of the draws.
        null: whether nothing of the targets is drawn.

    Returns:
        (count, 3, SIZE, SIZE) in 0–1, and rows (class, x, y, w, h) in 0–1.
    """
    random = np.random.default_rng(seed_of("planted", seed))
    pixels = random.uniform(0.3, 0.5, (count, 3, SIZE, SIZE)).astype(np.float32)
    targets = []
    for number in range(count):
        colour, coin = (int(value) for value in random.integers(0, 2, 2))
        x, y = (int(value) for value in random.integers(2, SIZE // 2 - SQUARE, 2))
        if not null:
            pixels[number, :, y : y + SQUARE, x : x + SQUARE] += 0.4
        u, v = (int(value) for value in random.integers(SIZE - MARK - 8, SIZE - MARK, 2))
        if not null:
            pixels[number, 2 * colour, v : v + MARK, u : u + MARK] += 0.5
        centre = ((x + SQUARE / 2) / SIZE, (y + SQUARE / 2) / SIZE)
        targets.append(torch.tensor([[coin if null else colour, *centre, SQUARE / SIZE, SQUARE / SIZE]]))
    return torch.from_numpy(pixels), targets


def trained(seed: int, null: bool, steps: int) -> Detector:
    """Train the small detector on images of its own."""
    model = Detector(read_spec({**DETECTOR}), seed=seed)
    data = FrozenDetector(model, *images(128, 2 * seed, null), batch=16)
    model.train().requires_grad_(True)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    with drawing("train", seed):
        for _ in range(steps):
            loss = data.loss(torch.randint(0, 128, (16,)).tolist())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model


def scanned(seed: int, options: argparse.Namespace) -> list[Ranked]:
    """Train a detector and scan it, on images that it has not seen."""
    model = trained(seed, False, options.train_steps)
    frozen = FrozenDetector(model, *images(options.images, 2 * seed + 1, null=False))
    candidates, _ = expand(model, (*RIGHT, *WRONG), options.places, "planted")
    records: dict[str, Record] = {}
    for group in divided(candidates, options.method):
        settings = {"steps": options.steps, "draws": 1, "seed": seed, "memory": 1024}
        records |= score_group(frozen, group, options.method, exchanged=options.exchanged, **settings)
    return rank(candidates, records, {}, seed, by_error=options.method in BY_ERROR)


def null_p(model: Detector, number: int, options: argparse.Namespace) -> tuple[str, float, float]:
    """Score a candidate drawn at random, where labels have nothing to do with images: its name and both of its p."""
    frozen = FrozenDetector(model, *images(options.images, 1000 + number, null=True))
    candidates, _ = expand(model, (*RIGHT, *WRONG), options.places, "null")
    candidate = candidates[int(np.random.default_rng(number).integers(len(candidates)))]
    settings = {"steps": options.steps, "draws": 1, "seed": number, "memory": 1024}
    own, control = (score_group(frozen, [one], "frozen", **settings) for one in (candidate, plain_control(candidate)))
    record = own[candidate.name]
    plain = next(iter(control.values()))
    return candidate.name, record.p, better_p(np.array(record.units), np.array(plain.units))


def check_null(options: argparse.Namespace) -> None:
    """Print whether p-values of repeats without any effect are uniform."""
    model, values, known = trained(0, True, options.train_steps), [], kept(options)
    for number in range(options.seeds):
        if number not in known:
            known[number] = null_p(model, number, options)
            keep(options, number, known[number])
        name, *both = known[number]
        values.append(both)
        if options.verbose:
            print(f"repeat {number}: {name} {both}", flush=True)
    for label, p in zip(("labels exchanged", "plain convolutions"), np.transpose(values), strict=True):
        test = stats.kstest(p, "uniform")
        shares = ", ".join(f"{np.mean(p <= level):.3f} below {level}" for level in (0.01, 0.05, 0.1, 0.5))
        print(f"{label}: {len(p)} repeats, KS {test.statistic:.3f}, p {test.pvalue:.3f}; {shares}")


def kept(options: argparse.Namespace) -> dict[int, Any]:
    """Read what an earlier start with the same settings left: seed → result."""
    if options.keep is None or not options.keep.is_file():
        return {}
    lines = [json.loads(line) for line in options.keep.read_text(encoding="utf-8").splitlines()]
    return {line["seed"]: line["result"] for line in lines if line["settings"] == _settings(options)}


def keep(options: argparse.Namespace, seed: int, result: Any) -> None:
    """Append the result of one seed."""
    if options.keep is not None:
        with options.keep.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"settings": _settings(options), "seed": seed, "result": result}) + "\n")


def _settings(options: argparse.Namespace) -> dict[str, Any]:
    names = ("null", "method", "images", "steps", "train_steps", "places")
    return json.loads(json.dumps({name: getattr(options, name) for name in names}))


def summary(seed: int, options: argparse.Namespace) -> list[int]:
    """Scan one seed: candidates, rank of the best right one, how many the first tenth has, how many of them right."""
    ranked = scanned(seed, options)
    tenth = ranked[: max(1, len(ranked) // 10)]
    if options.verbose:
        for entry in ranked:
            print(f"  {entry.rank:3} {entry.candidate.name:40} {entry.score:.5f} ± {entry.error:.5f} p {entry.p:.3f}")
    best = next(entry.rank for entry in ranked if is_right(entry.candidate))
    return [len(ranked), best, len(tenth), sum(is_right(entry.candidate) for entry in tenth)]


def is_right(candidate: Candidate) -> bool:
    """Whether a candidate can see the mark."""
    return candidate.mechanism in RIGHT


def main(argv: list[str] | None = None) -> int:
    """Print what came out of each seed, and of all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--null", action="store_true")
    parser.add_argument("--method", default="frozen", choices=METHODS)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--train-steps", type=int, default=150)
    parser.add_argument("--exchanged", action="store_true", help="compute p as well")
    parser.add_argument("--places", nargs="+", default=PLACES)
    parser.add_argument("--keep", type=Path, metavar="FILE", help="append each seed's result, and go on from there")
    parser.add_argument("-v", "--verbose", action="store_true")
    options = parser.parse_args(argv)
    if options.null:
        check_null(options)
        return 0
    started, results, known = time.process_time(), [], kept(options)
    for seed in range(options.seeds):
        if seed not in known:
            known[seed] = summary(seed, options)
            keep(options, seed, known[seed])
        count, best, first, right = known[seed]
        results.append((best, right, best <= first))
        print(
            f"seed {seed}: {count} candidates, best right one at {best}, {right} of the first {first} right", flush=True
        )
    _, rights, firsts = zip(*results, strict=True)
    print(
        f"in the first tenth: {sum(firsts)} of {len(firsts)} seeds; right ones there: mean {np.mean(rights):.1f}; "
        f"{time.process_time() - started:.0f} CPU seconds now"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
