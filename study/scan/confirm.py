"""Put a scan to the test: a study of its best candidates beside random ones, on seeds that the scan has not seen."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import yaml
from scipy import stats

from attention import ATTENTION
from engine.errors import UsageError
from study.analysis.intervals import Floats, Interval, p_value, studentised_interval
from study.analysis.power import smallest_detectable
from study.plan.controls import match_parameters
from study.plan.plan import Plan
from study.plan.run import write_whole
from study.plan.variants import BASELINE
from study.scan.ranking import Ranked
from study.scan.record import seed_of
from study.scan.run import Scan
from study.scan.scan_spec import ScanSpec
from study.scan.size_controls import parameters

BEST, RANDOM = "best", "random"
FIELLER = 1.06  # variance of Fisher's z of a rank correlation, of 1 / (n - 3)
WANTED = 0.6  # rank correlation for which the report says how many candidates would show it
LEAST_POINTS = 5  # candidates from which on an interval of a rank correlation can be given


@dataclass(frozen=True)
class Tested:
    """What a confirming study says about its scan.

    Attributes:
        advantage: mean effect of the best minus that of the random ones, by seed, as an interval.
        p: of that, two-sided.
        detectable: smallest advantage that so many seeds call in 80 % of studies; NaN with one seed.
        correlation: of the scan's order and measured effects, by ranks.
        low, high: its 95 % interval; NaN with too few candidates.
        detectable_correlation: smallest that so many candidates call in 80 % of studies.
        candidates: how many took part.
        seeds: how many each was trained with.
    """

    advantage: Interval
    p: float
    detectable: float
    correlation: float
    low: float
    high: float
    detectable_correlation: float
    candidates: int
    seeds: int


def chosen(ranked: Sequence[Ranked], count: int, seed: int) -> dict[str, Ranked]:
    """Return the best candidates, and as many drawn at random from the others.

    Args:
        ranked: the best first.
        count: of each.
        seed: of the draw.

    Raises:
        UsageError: if there are too few candidates.
    """
    if count < 1 or 2 * count > len(ranked):
        raise UsageError(f"--confirm {count}: expected 1 to {len(ranked) // 2}, half of the {len(ranked)} candidates")
    others = np.random.default_rng(seed_of("confirm", seed, count)).permutation(np.arange(count, len(ranked)))[:count]
    picked = {f"{BEST}{number + 1}": ranked[number] for number in range(count)}
    return picked | {f"{RANDOM}{number + 1}": ranked[index] for number, index in enumerate(sorted(others))}


def check_confirm(spec: ScanSpec, count: int) -> int:
    """Return the epochs of the study that tests a scan.

    Args:
        spec: of the scan.
        count: of the best, and of random candidates.

    Raises:
        UsageError: if the count is below 1, or the spec does not say how long to train.
    """
    if count < 1:
        raise UsageError(f"--confirm {count}: expected how many of the best to test, 1 or more")
    epochs = spec.confirm_epochs or spec.epochs
    if not epochs:
        raise UsageError(
            f"{spec.file}: the scan trains nothing, so say how long the study does: confirm: {{epochs: 20}}"
        )
    return epochs


def write_study(scan: Scan, count: int) -> str:
    """Write the spec of the study that tests a scan, and return its path.

    Args:
        scan: finished.
        count: of the best, and of random candidates.

    Raises:
        UsageError: if there are too few candidates, or the spec does not say how long to train.
    """
    spec = scan.spec
    epochs = check_confirm(spec, count)
    picked = chosen(scan.ranked, count, spec.seed)
    content = {
        "name": f"confirm-{count}",
        "data": spec.data,
        **({"data_root": spec.data_root} if spec.data_root else {}),
        **({"cfg": spec.cfg} if spec.cfg else {}),
        **({"weights": spec.weights} if spec.weights else {}),
        "identity": True,
        "variants": {name: entry.candidate.name for name, entry in picked.items()},
        "controls": [name for name, entry in picked.items() if name.startswith(BEST) and _has_control(entry)],
        "seeds": [spec.seed + 1 + number for number in range(spec.confirm_seeds)],
        "budget": {"epochs": epochs},
        # Anchors chosen anew would make another detector of weights that were scanned as they are.
        "train": {**({} if spec.epochs else {"noautoanchor": True}), **spec.train},
    }
    path = scan.folder / f"confirm-{count}.yaml"
    write_whole(path, yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
    return str(path)


def _has_control(entry: Ranked) -> bool:
    """Tell whether plain convolutions can be as small as a candidate."""
    try:
        match_parameters(parameters(entry.candidate), [tap.channels for tap in entry.candidate.place.taps])
    except ValueError:
        return False
    return entry.candidate.module in ATTENTION or "." in entry.candidate.module


def judge(effects: Mapping[str, Mapping[int, float]], scores: Mapping[str, float]) -> Tested:
    """Say whether a scan's best are better than random ones, and whether its scores order measured effects.

    Args:
        effects: variant → seed → metric minus the baseline's with that seed; names begin with best or random.
        scores: variant → what the scan orders by, more is better.

    Raises:
        UsageError: if there is no seed that a best and a random variant have both.
    """
    seeds = sorted(set.intersection(*(set(values) for values in effects.values()))) if effects else []
    if not seeds or len({name.startswith(BEST) for name in effects}) < 2:
        raise UsageError("no seed is done with all variants yet, so the scan cannot be judged; start the study again")
    means = {name: float(np.mean([values[seed] for seed in seeds])) for name, values in effects.items()}
    differences = _advantages(effects, seeds)
    several = len(seeds) > 1
    interval = (
        studentised_interval(differences) if several else Interval(float(differences[0]), -math.inf, math.inf, 0.95)
    )
    names = list(effects)
    correlation = rank_correlation([scores[name] for name in names], [means[name] for name in names])
    low, high = correlation_interval(correlation, len(names))
    return Tested(
        advantage=interval,
        p=p_value(differences) if several else math.nan,
        detectable=smallest_detectable(float(differences.std(ddof=1)), len(seeds)) if several else math.nan,
        correlation=correlation,
        low=low,
        high=high,
        detectable_correlation=detectable_correlation(len(names)),
        candidates=len(names),
        seeds=len(seeds),
    )


def _advantages(effects: Mapping[str, Mapping[int, float]], seeds: Sequence[int]) -> Floats:
    sides = [[values for name, values in effects.items() if name.startswith(side)] for side in (BEST, RANDOM)]
    best, other = (np.array([[values[seed] for seed in seeds] for values in side]).mean(0) for side in sides)
    return np.asarray(best - other, dtype=np.float64)


def rank_correlation(scores: Sequence[float], effects: Sequence[float]) -> float:
    """Return Spearman's correlation; NaN where one of the two does not vary."""
    if len(set(scores)) < 2 or len(set(effects)) < 2:
        return math.nan
    return float(stats.spearmanr(scores, effects).statistic)


def correlation_interval(correlation: float, count: int, level: float = 0.95) -> tuple[float, float]:
    """Return the interval of a rank correlation by Fisher's z; NaN with fewer than five pairs.

    Source:
        Fieller, Hartley & Pearson, Biometrika 44, 1957: var z = 1.06 / (n - 3).
    """
    if count < LEAST_POINTS or not math.isfinite(correlation):
        return math.nan, math.nan
    if abs(correlation) == 1:
        return correlation, correlation
    reach = float(stats.norm.isf((1 - level) / 2)) * math.sqrt(FIELLER / (count - 3))
    centre = math.atanh(correlation)
    return math.tanh(centre - reach), math.tanh(centre + reach)


def detectable_correlation(count: int, power: float = 0.8, alpha: float = 0.05) -> float:
    """Return the smallest true rank correlation that so many candidates call; NaN with fewer than five."""
    if count < LEAST_POINTS:
        return math.nan
    return math.tanh(float(stats.norm.isf(alpha / 2) + stats.norm.isf(1 - power)) * math.sqrt(FIELLER / (count - 3)))


def effects_of(plan: Plan, values: Mapping[str, Mapping[int, float]]) -> dict[str, dict[int, float]]:
    """Return variant → seed → metric minus the baseline's, for the variants that stand for the scan.

    Args:
        plan: of the study.
        values: variant → seed → metric.
    """
    base = values.get(BASELINE, {})
    names = [variant.name for variant in plan.spec.variants if variant.name != BASELINE]
    paired = {
        name: {seed: value - base[seed] for seed, value in values.get(name, {}).items() if seed in base}
        for name in names
    }
    return {name: differences for name, differences in paired.items() if differences}


def write_confirmation(
    scan: Scan, picked: Mapping[str, Ranked], effects: Mapping[str, Mapping[int, float]], metric: str
) -> str:
    """Write confirm-K.md: what the study says about the scan.

    Returns:
        The same in short.
    """
    # Ranks, not scores: these have no common scale with every method, and of successive halving the rung comes first.
    tested = judge(effects, {name: -picked[name].rank for name in effects})
    lines = sentences(tested, metric)
    head = ("variant", "candidate", "rank of the scan", "score", "mean effect, points", "sd over seeds")
    rows = [f"| {' | '.join(head)} |", "|---|---|---|---|---|---|"]
    for name, values in effects.items():
        entry = picked[name]
        points = 100 * np.array(list(values.values()))
        sd = f"{points.std(ddof=1):.2f}" if len(points) > 1 else "–"
        rows.append(
            f"| {name} | {entry.candidate.name} | {entry.rank} | {entry.score:.4g} | {points.mean():+.2f} | {sd} |"
        )
    study = f"confirm-{len(picked) // 2}"
    about = (
        f"Effects are differences of {metric} to the detector without attention. What each candidate does by itself, "
        f"and against plain convolutions of its size, stands in the [report of the study]({study}/report.md)."
    )
    text = "\n\n".join([f"# Was the scan right? {scan.spec.name}", *lines, "\n".join(rows), about])
    write_whole(scan.folder / f"{study}.md", f"{text}\n")
    return "\n".join(lines)


def sentences(tested: Tested, metric: str) -> list[str]:
    """Say in sentences what came out."""
    if tested.seeds > 1 and tested.advantage.mean == 0 == tested.detectable:
        return [
            f"All seeds give the best and the random ones the same {metric}, so this study says nothing of the scan."
        ]
    mean, low, high = (100 * value for value in (tested.advantage.mean, tested.advantage.low, tested.advantage.high))
    if tested.seeds < 2:
        first = f"With one seed nothing can be said about the best against random ones ({metric} {mean:+.1f} points)."
    else:
        verdict = {True: "better than", False: "no different, as far as can be seen, from"}[tested.advantage.low > 0]
        verdict = "worse than" if tested.advantage.high < 0 else verdict
        first = (
            f"The scan's best are {verdict} candidates drawn at random: {metric} {mean:+.2f} points "
            f"[{low:+.2f}, {high:+.2f}] over {tested.seeds} seeds, p {tested.p:.3f}; an advantage of "
            f"{100 * tested.detectable:.2f} points would have been seen in 80 % of such studies."
        )
    if not math.isfinite(tested.correlation):
        return [first, "Ranks or effects do not vary, so they have no rank correlation."]
    second = (
        f"Rank correlation of the scan's order and measured effects over {tested.candidates} candidates: "
        f"{tested.correlation:+.2f}"
    )
    if not math.isfinite(tested.low):
        return [first, f"{second}; so few candidates have no interval, take --confirm 3 or more."]
    return [
        first,
        f"{second}, 95 % interval [{tested.low:+.2f}, {tested.high:+.2f}]; this design would have seen correlations of "
        f"{tested.detectable_correlation:.2f} or more in 80 % of cases{_larger(tested.detectable_correlation)}.",
    ]


def _larger(detectable: float) -> str:
    """Say which study would see a middling correlation, where this one does not."""
    return "" if detectable <= WANTED else f"; for {WANTED} take --confirm {best_for(WANTED)}"


def best_for(correlation: float) -> int:
    """Return the smallest K of --confirm whose 2·K candidates call a true rank correlation."""
    return next(k for k in itertools.count(LEAST_POINTS // 2 + 1) if detectable_correlation(2 * k) <= correlation)
