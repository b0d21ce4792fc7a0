"""Compare runs: variants against the baseline, and against controls of their own size."""

import io
import zipfile
import zlib
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data.files import write_atomically
from metrics import bootstrap_ap, image_resamples
from study.analysis.alpha_spending import Look, compare_at_looks, plan_looks
from study.analysis.intervals import Floats, Interval, bootstrap_intervals
from study.analysis.learned import has_learned, without_verdict
from study.analysis.results import Results
from study.analysis.statistics import Comparison, compare_with_baseline
from study.plan.plan import Plan
from study.plan.run import content_hash
from study.plan.study_spec import StudySpec
from study.plan.variants import BASELINE, CONTROL

RESAMPLED = ("AP", "AP50")  # metrics that are recomputed from match tables


@dataclass(frozen=True)
class Analysis:
    """Comparisons of one metric at one checkpoint.

    Attributes:
        metric: its name.
        which: "last" or "best".
        baseline: variant → against the baseline; corrected over these.
        controls: control → against the baseline; a family of its own.
        own: variant → against its own control; a family of its own.
        bootstrap: variant or control → intervals of the difference to the baseline, by what was resampled.
    """

    metric: str
    which: str
    baseline: dict[str, Comparison]
    controls: dict[str, Comparison]
    own: dict[str, Comparison]
    bootstrap: dict[str, dict[str, Interval]]

    def against_baseline(self, name: str) -> Comparison | None:
        """Return the comparison of a variant or control with the baseline, None where too few runs are done."""
        return self.baseline.get(name) or self.controls.get(name)


def analyse(
    results: Results,
    metric: str,
    which: str = "last",
    resample: bool = True,
    looks: Sequence[Look] = (),
    complete: bool = True,
) -> Analysis:
    """Compare all variants on one metric.

    Args:
        results: of the study; variants that share fewer than two seeds with what they are compared with are left out.
        metric: one of COCO's twelve.
        which: "last" or "best".
        resample: whether to add bootstrap intervals, which take time.
        looks: of a study that may grow, from `looks_of`.
        complete: whether all runs of the last look are settled, see `compare_at_looks`.
    """
    values = {name: _defined(results.values(name, metric, which)) for name in results.by_variant}
    base = values.get(BASELINE, {})
    comparable = [name for name in values if name != BASELINE and len(base.keys() & values[name].keys()) >= 2]
    variants = {name: values[name] for name in comparable if not name.endswith(CONTROL)}
    controls = {name: values[name] for name in comparable if name.endswith(CONTROL)}
    own: dict[str, dict[Hashable, float]] = {}
    for name in values:
        of_control = values.get(f"{name}{CONTROL}", {})
        shared = [seed for seed in values[name] if seed in of_control]
        if len(shared) >= 2:
            own[name] = {seed: values[name][seed] - of_control[seed] for seed in shared}
    zero = dict.fromkeys([seed for differences in own.values() for seed in differences], 0.0)
    learned = {name: has_learned(results, name, which) for name in values}
    beside_base = {name: learned[name] or learned.get(BASELINE, False) for name in values}
    beside_control = {name: learned[name] or learned[f"{name}{CONTROL}"] for name in own}
    return Analysis(
        metric=metric,
        which=which,
        baseline=without_verdict(_compared(base, variants, looks, complete), beside_base) if variants else {},
        controls=without_verdict(_compared(base, controls, looks, complete), beside_base) if controls else {},
        own=without_verdict(_compared(zero, own, looks, complete), beside_control) if own else {},
        bootstrap=_bootstrap(results, comparable, metric, which) if resample and metric in RESAMPLED else {},
    )


def looks_of(spec: StudySpec) -> list[Look]:
    """Return the looks of a study that may grow, none of one that has a single look."""
    return plan_looks(spec.looks, spec.max_seeds) if spec.max_seeds is not None and spec.looks else []


def _compared(
    base: Mapping[Hashable, float],
    variants: Mapping[str, Mapping[Hashable, float]],
    looks: Sequence[Look],
    complete: bool,
) -> dict[str, Comparison]:
    return compare_at_looks(base, variants, looks, complete) if looks else compare_with_baseline(base, variants)


def _defined(values: dict[int, float]) -> dict[Hashable, float]:
    return {seed: value for seed, value in values.items() if np.isfinite(value)}


def _bootstrap(results: Results, names: list[str], metric: str, which: str) -> dict[str, dict[str, Interval]]:
    """Resample images, the same draws for every run, and seeds."""
    intervals = {}
    base = {seed: _resampled(results, BASELINE, seed, which) for seed in results.by_variant.get(BASELINE, {})}
    for name in names:
        seeds = [seed for seed in base if seed in results.by_variant[name]]
        rows = np.stack([_resampled(results, name, seed, which)[metric] - base[seed][metric] for seed in seeds])
        observed, resampled = rows[:, 0], rows[:, 1:]
        defined = resampled[:, np.isfinite(resampled).all(axis=0)]  # a resample may have no object at all
        if np.isfinite(observed).all() and defined.shape[1] >= 2:
            intervals[name] = bootstrap_intervals(observed, defined)
    return intervals


def _resampled(results: Results, name: str, seed: int, which: str) -> dict[str, Floats]:
    """Return AP and AP50 of one run on the images as they are, then on each resample of them.

    They are kept beside the match table, since a report is often written again.
    """
    result, resamples = results.by_variant[name][seed], results.plan.spec.resamples
    originals = _originals(results.plan, result.run.folder / which)
    named = f"-{content_hash(originals)[:10]}" if originals else ""
    file = result.run.folder / which / f"bootstrap-{resamples}{named}.npz"
    known = _kept(file, result.run.eval_key)
    if known is not None:
        return known
    table = result.matches(which)
    images = len(table.image_ids)
    drawn = image_resamples(images, resamples, seed=0, originals=originals)
    values = bootstrap_ap(table, np.concatenate((np.ones((1, images), dtype=drawn.dtype), drawn)))
    content: dict[str, Any] = {
        "eval_key": np.array(result.run.eval_key),
        **{metric: values[metric] for metric in RESAMPLED},
    }
    stream = io.BytesIO()
    np.savez_compressed(stream, **content)
    write_atomically(file, stream.getvalue())
    return values


def _kept(file: Path, eval_key: str) -> dict[str, Floats] | None:
    """Return what an earlier report has computed; None where it is of other numbers, missing or cut short."""
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as kept:
            return {metric: kept[metric] for metric in RESAMPLED} if str(kept["eval_key"]) == eval_key else None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None


def _originals(plan: Plan, folder: Path) -> list[str]:
    """Return the original of each image of a run's match table, whose order is that of its boxes.npz."""
    if not plan.originals:
        return []
    with np.load(folder / "boxes.npz", allow_pickle=False) as boxes:
        return [plan.originals[number] for number in boxes["position"]]
