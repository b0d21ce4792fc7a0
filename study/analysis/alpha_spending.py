"""Plan looks at a growing study: how much of the error rate each look may spend, and which looks can reject at all.

A study that is looked at, found undecided and given more seeds has several chances to be fooled. Lan & DeMets let the
level α be spent as seeds come in: after a share t of all planned seeds, α*(t) has been spent at most. The level of a
look is what its share adds; a variant that is called at any look stays called. By Bonferroni's inequality over looks
the false claims of all of them together stay below α, whatever the dependence between them, so no joint distribution
of the looks has to be assumed; that costs a little power.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from scipy import stats

from study.analysis.intervals import Verdict, studentised_interval
from study.analysis.statistics import Comparison, compare_with_baseline

LEAST_SEEDS = 2  # with fewer there is no spread
# Level of a look that may spend next to nothing: far below it 1 - level is 1 in floating point.
LEAST_ALPHA = 1e-9


@dataclass(frozen=True)
class Look:
    """One planned look.

    Attributes:
        seeds: that are done by then.
        alpha: level of this look, for the whole family of variants.
        smallest_p: that exchanging signs can reach with so many seeds, 2 / 2ⁿ.
    """

    seeds: int
    alpha: float
    smallest_p: float

    @property
    def can_reject_by_signs(self) -> bool:
        """Whether a test that assumes nothing but symmetry could call anything at this look."""
        return self.smallest_p <= self.alpha


def spent(share: float, alpha: float = 0.05) -> float:
    """Return how much of α may be spent after a share of the planned seeds, as O'Brien and Fleming would.

    Args:
        share: 0 … 1.
        alpha: of the whole study, two-sided.

    Source:
        Lan & DeMets, Biometrika 70, 1983: α*(t) = 2 − 2Φ(z(α/2) / √t).
    """
    if share <= 0:
        return 0.0
    if share >= 1:
        return alpha
    return float(2 * stats.norm.sf(stats.norm.isf(alpha / 2) / math.sqrt(share)))


def plan_looks(seeds: Sequence[int], most: int, alpha: float = 0.05) -> list[Look]:
    """Return the level of every look.

    Args:
        seeds: done by each look, rising.
        most: seeds that are planned at most.
        alpha: of the whole study.

    Raises:
        ValueError: if the numbers do not rise, or exceed the most.
    """
    numbers = list(seeds)
    if not numbers or numbers[0] < 1 or numbers[-1] > most or any(b <= a for a, b in pairwise(numbers)):
        raise ValueError(f"looks at {numbers} of {most} seeds; expected rising numbers, such as [5, 10] of 15")
    shares = [spent(number / most, alpha) for number in numbers]
    before = [0.0, *shares[:-1]]
    return [
        Look(number, max(now - earlier, LEAST_ALPHA), 2.0 ** (1 - number))
        for number, now, earlier in zip(numbers, shares, before, strict=True)
    ]


def compare_at_looks(
    baseline: Mapping[Hashable, float],
    variants: Mapping[str, Mapping[Hashable, float]],
    looks: Sequence[Look],
    complete: bool = True,
) -> dict[str, Comparison]:
    """Compare every variant with the baseline at every look; what was called at one stays called.

    Args:
        baseline: metric by seed, in the order in which seeds were added.
        variants: metric by seed, by name.
        looks: from `plan_looks`.
        complete: whether all runs of the last look are settled; looking earlier is no look that was planned, so what
            no look before has called is not judged.

    Returns:
        The comparisons of the last look; the verdict is that of the first look that called one.
    """
    called: dict[str, Verdict] = {}
    found: dict[str, Comparison] = {}
    order = list(baseline)
    for look in looks:
        seeds = order[: look.seeds]
        base = {seed: baseline[seed] for seed in seeds}
        some = {name: {s: v for s, v in values.items() if s in base} for name, values in variants.items()}
        some = {name: values for name, values in some.items() if len(values) >= LEAST_SEEDS}
        found = compare_with_baseline(base, some, alpha=look.alpha) if some else found
        for name, comparison in found.items():
            if comparison.verdict is not Verdict.NONE and (complete or look is not looks[-1]):
                called.setdefault(name, comparison.verdict)
    uncalled = Verdict.NONE if complete else Verdict.OPEN
    return {
        name: replace(
            comparison,
            interval=studentised_interval(comparison.differences),
            verdict=called.get(name, uncalled),
        )
        for name, comparison in found.items()
    }
