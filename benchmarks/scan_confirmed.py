"""Did a scan predict what a study measured? Its best places against places drawn at random, by seed, and by ranks.

python -m benchmarks.scan_confirmed cfg/study/bccd-attention.yaml RESULTS.csv docs/benchmarks/scan-bccd.csv

For a study that has the scan's candidates among others, so that --confirm did not write it: its variants best1, best2 …
and random1, random2 … are single placements as the scan calls them.
"""

import argparse
import csv
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import yaml

from study.plan.variants import BASELINE
from study.scan.confirm import BEST, RANDOM, judge, sentences


def measured(file: Path, metric: str) -> dict[str, dict[int, float]]:
    """Read a study's results: variant → seed → metric minus the baseline's with that seed, last epoch.

    Args:
        file: results.csv of the study.
        metric: name without `_last`.
    """
    values: dict[str, dict[int, float]] = defaultdict(dict)
    with file.open(newline="", encoding="utf-8") as rows:
        for row in csv.DictReader(rows):
            values[row["variant"]][int(row["seed"])] = float(row[f"{metric}_last"])
    base = values.pop(BASELINE)
    return {
        name: {seed: value - base[seed] for seed, value in of.items() if seed in base} for name, of in values.items()
    }


def ranks(file: Path) -> dict[str, float]:
    """Read a scan's table: candidate → rank, 1 the best."""
    with file.open(newline="", encoding="utf-8") as rows:
        return {row["candidate"]: float(row["rank"]) for row in csv.DictReader(rows)}


def main() -> int:
    """Print what each candidate did beside its rank, and what that says about the scan."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scan_confirmed", description=__doc__.split("\n")[0])
    parser.add_argument("study", type=Path, help="its YAML")
    parser.add_argument("results", type=Path, help="its results.csv")
    parser.add_argument("scan", type=Path, help="scan.csv of the scan")
    options = parser.parse_args()
    spec = yaml.safe_load(options.study.read_text(encoding="utf-8"))
    metric, rank = spec["metrics"][0], ranks(options.scan)
    placed = {name: text for name, text in spec["variants"].items() if name.startswith((BEST, RANDOM))}
    effects = {name: of for name, of in measured(options.results, metric).items() if name in placed}
    print("| variant | candidate | rank of the scan | mean effect, points | sd over seeds |\n|---|---|---:|---:|---:|")
    for name, of in effects.items():
        points = 100 * np.array(list(of.values()))
        print(f"| {name} | {placed[name]} | {rank[placed[name]]:g} | {points.mean():+.2f} | {points.std(ddof=1):.2f} |")
    print()
    for line in sentences(judge(effects, {name: -rank[placed[name]] for name in effects}), metric):
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
