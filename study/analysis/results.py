"""Gather what finished runs left behind."""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import yaml

from engine.errors import UsageError
from metrics import MatchTable
from study.plan.plan import Plan
from study.plan.run import NEEDED, Run, read_json

WHICH = ("last", "best")
PRECISIONS = ("fp32", "bf16", "fp16")


@dataclass(frozen=True)
class RunResult:
    """One finished run.

    Attributes:
        run: which.
        metrics: "last" and "best" → content of metrics.json.
        curve: rows of results.csv.
        trained: memory and threads of the training.
        precision: of its forward pass: "fp32", "bf16" or "fp16"; empty where it is not written down.
    """

    run: Run
    metrics: dict[str, dict[str, Any]]
    curve: list[dict[str, float]]
    trained: dict[str, Any]
    precision: str = ""

    def value(self, metric: str, which: str = "last") -> float:
        """Return one of COCO's twelve numbers, 0–1; NaN where there is no such object."""
        value = float(self.metrics[which]["coco"][metric])
        return value if value >= 0 else float("nan")

    @property
    def best_epoch(self) -> int:
        """Epoch, from 1, whose weights are best.pt: the first with the largest fitness."""
        scores = [0.1 * row["metrics/mAP50(B)"] + 0.9 * row["metrics/mAP50-95(B)"] for row in self.curve]
        return 1 + max(range(len(scores)), key=lambda number: scores[number])

    @property
    def epoch_seconds(self) -> float:
        """Median time of an epoch, its validation included; of the first where there is no other."""
        times = [row["time"] for row in self.curve]
        steps = [b - a for a, b in pairwise(times)]
        return median(steps) if steps else times[0]

    def matches(self, which: str = "last") -> MatchTable:
        """Read the match table."""
        return MatchTable.load(self.run.folder / which / "matches.npz")


@dataclass(frozen=True)
class Results:
    """All finished runs of a study.

    Attributes:
        plan: of the study.
        by_variant: variant → seed → result, in the plan's order.
    """

    plan: Plan
    by_variant: dict[str, dict[int, RunResult]]

    def values(self, variant: str, metric: str, which: str = "last") -> dict[int, float]:
        """Return seed → number."""
        return {seed: result.value(metric, which) for seed, result in self.by_variant.get(variant, {}).items()}


def gather(plan: Plan, done: Iterable[Run]) -> Results:
    """Read the results of finished runs.

    Args:
        plan: of the study.
        done: runs that have a done.json.

    Raises:
        UsageError: if a file of one is gone.
    """
    by_variant: dict[str, dict[int, RunResult]] = {name: {} for name in plan.models}
    for run in sorted(done, key=lambda run: run.seed):
        gone = next((name for name in NEEDED if not (run.folder / name).is_file()), None)
        if gone is not None:
            raise UsageError(
                f"{run.folder}: the run is done, but its {gone} is gone; put it back, or delete the folder to make the "
                "run anew"
            )
        metrics = {which: read_json(run.folder / which / "metrics.json") or {} for which in WHICH}
        curve = read_curve(run.folder / "train" / "results.csv")
        trained = read_json(run.folder / "trained.json") or {}
        by_variant[run.variant][run.seed] = RunResult(run, metrics, curve, trained, read_precision(run))
    return Results(plan, {name: results for name, results in by_variant.items() if results})


def read_precision(run: Run) -> str:
    """Return the precision that a run was trained in, which `--amp auto` chooses by the machine."""
    try:
        content = yaml.safe_load((run.folder / "train" / "args.yaml").read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):  # a run may be carried without it
        return ""
    return str(content["amp"]) if isinstance(content, dict) and content.get("amp") in PRECISIONS else ""


def read_curve(path: Path) -> list[dict[str, float]]:
    """Read a results.csv."""
    with path.open(newline="", encoding="utf-8") as file:
        return [{key.strip(): float(value) for key, value in row.items()} for row in csv.DictReader(file)]
