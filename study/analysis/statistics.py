"""Does a variant differ from the baseline by more than its seeds differ among themselves?

A study trains baseline and variants with the same seeds, so each seed gives one paired difference. The verdict comes
from a studentised interval of these differences, corrected for the number of variants by Holm's method. Beside it
stand numbers that say how much the verdict can bear: the exact permutation p and the smallest that so few seeds can
reach, the smallest effect that the design could have seen, and the number of seeds that a given effect needs.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from study.analysis.power import smallest_detectable

Floats = npt.NDArray[np.float64]

# Sign changes are enumerated up to this many seeds, beyond it drawn at random.
EXACT_SEEDS = 16


class Verdict(str, Enum):
    """What a study may say about a variant."""

    GAIN = "gain"
    LOSS = "loss"
    NONE = "no detectable effect"


@dataclass(frozen=True)
class Interval:
    """A mean difference and where it may lie.

    Attributes:
        mean: of the differences.
        low: lower end.
        high: upper end.
        level: share of studies whose interval holds the true difference, such as 0.95.
    """

    mean: float
    low: float
    high: float
    level: float


@dataclass(frozen=True)
class Comparison:
    """One variant against the baseline.

    Attributes:
        name: of the variant.
        differences: variant minus baseline by seed; `seeds` in the same order.
        seeds: those that both have run.
        spread: standard deviation of the differences over seeds.
        interval: studentised, at the nominal level, for this variant alone.
        corrected: the same at the level of this variant's step in Holm's method; the verdict is read from it.
        p: two-sided, of the studentised test.
        p_holm: p corrected for the number of variants.
        p_permutation: two-sided, from changing the signs of the differences.
        p_permutation_smallest: what so few seeds can reach at best, 0.0625 for five.
        detectable: smallest true difference that this design would have called in `power` of studies, at the corrected
            level and if the true spread is the observed one.
        power: that share.
        verdict: gain, loss or no detectable effect.
    """

    name: str
    differences: tuple[float, ...]
    seeds: tuple[Hashable, ...]
    spread: float
    interval: Interval
    corrected: Interval
    p: float
    p_holm: float
    p_permutation: float
    p_permutation_smallest: float
    detectable: float
    power: float
    verdict: Verdict

    @property
    def constant(self) -> bool:
        """Whether all seeds give one and the same difference, which leaves no scale to judge it by."""
        return self.spread == 0 or math.isinf(self.corrected.high)


def compare(
    baseline: Mapping[Hashable, float],
    variants: Mapping[str, Mapping[Hashable, float]],
    alpha: float = 0.05,
    power: float = 0.8,
) -> dict[str, Comparison]:
    """Compare every variant with the baseline.

    Args:
        baseline: metric by seed.
        variants: metric by seed, by name of the variant. All of them form the family that is corrected for.
        alpha: share of studies without any true effect that may claim one.
        power: see `Comparison.detectable`.

    Returns:
        A comparison for each variant. Only seeds that both have run take part.

    Raises:
        ValueError: if a value is not finite, or a variant shares fewer than two seeds with the baseline.
    """
    paired = {name: paired_differences(baseline, values, name) for name, values in variants.items()}
    differences = {name: values for name, (_, values) in paired.items()}
    p = {name: _p_value(values) for name, values in differences.items()}
    p_holm = dict(zip(p, holm(list(p.values())), strict=True))
    corrected = corrected_intervals(differences, alpha)
    result = {}
    for name, (seeds, values) in paired.items():
        spread = float(values.std(ddof=1))
        p_permutation, smallest = permutation_p(values)
        result[name] = Comparison(
            name=name,
            differences=tuple(values.tolist()),
            seeds=seeds,
            spread=spread,
            interval=studentised_interval(values, 1 - alpha),
            corrected=corrected[name],
            p=p[name],
            p_holm=p_holm[name],
            p_permutation=p_permutation,
            p_permutation_smallest=smallest,
            detectable=smallest_detectable(spread, len(values), power, 1 - corrected[name].level),
            power=power,
            verdict=verdict(corrected[name]),
        )
    return result


def paired_differences(
    baseline: Mapping[Hashable, float], variant: Mapping[Hashable, float], name: str = "variant"
) -> tuple[tuple[Hashable, ...], Floats]:
    """Subtract the baseline's metric from the variant's, seed by seed.

    Args:
        baseline: metric by seed.
        variant: metric by seed.
        name: of the variant, for messages.

    Returns:
        the seeds that both have, in the baseline's order, and the differences.

    Raises:
        ValueError: if a value is not finite or fewer than two seeds are shared.
    """
    for label, values in (("the baseline", baseline), (repr(name), variant)):
        for seed, value in values.items():
            if not math.isfinite(value):
                raise ValueError(f"metric of {label} with seed {seed} is {value}; expected a finite number")
    seeds = tuple(seed for seed in baseline if seed in variant)
    if len(seeds) < 2:
        raise ValueError(f"{name!r} shares {len(seeds)} seed(s) with the baseline; a comparison needs two or more")
    return seeds, np.array([variant[seed] - baseline[seed] for seed in seeds], dtype=np.float64)


def studentised_interval(differences: Sequence[float] | Floats, level: float = 0.95) -> Interval:
    """Student's interval of the mean difference: as wide as the seeds' own spread and number demand.

    Args:
        differences: (n,) one for each seed, n >= 2.
        level: such as 0.95.

    Returns:
        The interval; the whole line when all differences are one number other than 0, for then there is no scale.
    """
    values = np.asarray(differences, dtype=np.float64)
    mean, error = _mean_and_error(values)
    if _constant(values):
        return Interval(mean, -math.inf, math.inf, level) if values.any() else Interval(0.0, 0.0, 0.0, level)
    reach = error * float(special.stdtrit(len(values) - 1, (1 + level) / 2))
    return Interval(mean, mean - reach, mean + reach, level)


def corrected_intervals(differences: Mapping[str, Floats], alpha: float = 0.05) -> dict[str, Interval]:
    """Studentised intervals whose levels follow Holm's steps.

    The variant with the smallest p is judged at alpha / k, the next at alpha / (k - 1) and so on; the first that is
    not significant sets the level of those after it. An interval leaves out zero exactly when Holm's method rejects.

    Args:
        differences: (n,) by variant.
        alpha: chance of one or more false claims in a study without effects.

    Returns:
        The interval of each variant.
    """
    p = {name: _p_value(values) for name, values in differences.items()}
    result: dict[str, Interval] = {}
    left = len(p)
    for name in sorted(p, key=lambda key: p[key]):
        result[name] = studentised_interval(differences[name], 1 - alpha / left)
        if verdict(result[name]) is not Verdict.NONE:
            left -= 1
    return {name: result[name] for name in differences}


def verdict(interval: Interval) -> Verdict:
    """Read the verdict from an interval: zero outside is a gain or a loss."""
    if interval.low > 0:
        return Verdict.GAIN
    return Verdict.LOSS if interval.high < 0 else Verdict.NONE


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for their number by Holm's step-down method.

    Args:
        p_values: of one family.

    Returns:
        Corrected values in the same order: at most alpha exactly where Holm's method rejects at alpha.

    Source:
        Holm, Scandinavian Journal of Statistics 6, 1979. scipy has false-discovery control only.
    """
    order = np.argsort(p_values, kind="stable")
    steps = len(p_values) - np.arange(len(p_values))
    rising = np.maximum.accumulate(np.asarray(p_values, dtype=np.float64)[order] * steps)
    corrected = np.empty(len(p_values))
    corrected[order] = np.minimum(rising, 1.0)
    return corrected.tolist()


def permutation_p(differences: Sequence[float] | Floats, seed: int = 0) -> tuple[float, float]:
    """Two-sided p of the mean difference under exchange of baseline and variant within pairs.

    Args:
        differences: (n,) one for each seed.
        seed: of the random sign changes when there are more than EXACT_SEEDS differences.

    Returns:
        p, and the smallest p that n differences can give (2 / 2ⁿ as long as all sign changes are tried).
    """
    values = np.asarray(differences, dtype=np.float64)
    exact = len(values) <= EXACT_SEEDS
    resamples = 2 ** min(len(values), EXACT_SEEDS)
    result = stats.permutation_test(
        (values,),
        np.mean,
        permutation_type="samples",
        vectorized=True,
        n_resamples=np.inf if exact else resamples - 1,
        rng=np.random.default_rng(seed),
    )
    return float(result.pvalue), 2 / resamples


def bootstrap_intervals(observed: Floats, resampled: Floats, level: float = 0.95, seed: int = 0) -> dict[str, Interval]:
    """Percentile intervals of the mean difference from resampled images, seeds, and both.

    Images stand for "another test set", seeds for "another training run". With few seeds these intervals are too
    narrow (by more than sqrt(1 - 1/n)), so the verdict is not read from them.

    Args:
        observed: (n,) variant minus baseline for each seed, on the images as they are.
        resampled: (n, B) the same on B resamples of the images, which all runs share (`metrics.image_resamples`).
        level: such as 0.95.
        seed: of the draw of seeds.

    Returns:
        Intervals by what was resampled: "images", "seeds", "seeds and images".

    Raises:
        ValueError: if the shapes do not fit or a value is not finite.
    """
    if resampled.ndim != 2 or observed.shape != resampled.shape[:1] or resampled.shape[1] < 2:
        raise ValueError(f"shapes {observed.shape}, {resampled.shape}; expected (seeds,), (seeds, 2 resamples or more)")
    if not (np.isfinite(observed).all() and np.isfinite(resampled).all()):
        raise ValueError("a difference is not finite; leave out resamples without any object")
    drawn = np.random.default_rng(seed).integers(0, len(observed), resampled.shape)
    means = {
        "images": resampled.mean(0),
        "seeds": observed[drawn].mean(0),
        "seeds and images": np.take_along_axis(resampled, drawn, axis=0).mean(0),
    }
    tail = (1 - level) / 2
    ends = {what: np.quantile(values, [tail, 1 - tail]) for what, values in means.items()}
    center = float(observed.mean())
    return {what: Interval(center, float(low), float(high), level) for what, (low, high) in ends.items()}


def _constant(differences: Floats) -> bool:
    """Whether all differences are one number, up to the rounding of a subtraction."""
    return bool(np.ptp(differences) <= 1e-9 * np.abs(differences).max())


def _p_value(differences: Floats) -> float:
    """Two-sided p of Student's test; 1 when the seeds do not differ at all, for then there is no scale to judge by."""
    if _constant(differences):
        return 1.0
    mean, error = _mean_and_error(differences)
    return 2 * float(special.stdtr(len(differences) - 1, -abs(mean) / error))


def _mean_and_error(differences: Floats) -> tuple[float, float]:
    mean = float(differences.mean())
    return mean, math.sqrt(float(((differences - mean) ** 2).sum()) / (len(differences) - 1) / len(differences))
