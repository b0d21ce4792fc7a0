"""Test whether a variant differs from the baseline by more than its seeds differ among themselves.

A study trains baseline and variants with the same seeds, so each seed gives one paired difference. The verdict comes
from a studentised interval of these differences, corrected for the number of variants by Holm's method. Beside it
stand numbers that say how much the verdict can bear: the exact permutation p and the smallest that so few seeds can
reach, the smallest effect that the design could have seen, and the number of seeds that a given effect needs.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from study.analysis.intervals import (
    Floats,
    Interval,
    Verdict,
    corrected_intervals,
    p_value,
    studentised_interval,
    verdict,
)
from study.analysis.power import smallest_detectable

# Sign changes are enumerated up to this many seeds, beyond it drawn at random.
EXACT_SEEDS = 16


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


def compare_with_baseline(
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
    p = {name: p_value(values) for name, values in differences.items()}
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
    """Compute the two-sided p of the mean difference under exchange of baseline and variant within pairs.

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
