"""Say where a mean difference may lie, and read the verdict from it.

Student's intervals judge one variant, Holm's steps widen them for several. Those from resampled images and seeds stand
beside them; no verdict is read from those.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt
from scipy import special

Floats = npt.NDArray[np.float64]


class Verdict(str, Enum):
    """What a study may say about a variant."""

    GAIN = "gain"
    LOSS = "loss"
    NONE = "no detectable effect"
    UNLEARNED = "nothing was learned, the budget is too short"
    OPEN = "not judged yet"


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


def studentised_interval(differences: Sequence[float] | Floats, level: float = 0.95) -> Interval:
    """Compute Student's interval of the mean difference: as wide as the seeds' own spread and number demand.

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
    """Compute studentised intervals whose levels follow Holm's steps.

    The variant with the smallest p is judged at alpha / k, the next at alpha / (k - 1) and so on; the first that is
    not significant sets the level of those after it. An interval leaves out zero exactly when Holm's method rejects.

    Args:
        differences: (n,) by variant.
        alpha: chance of one or more false claims in a study without effects.

    Returns:
        The interval of each variant.
    """
    p = {name: p_value(values) for name, values in differences.items()}
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


def bootstrap_intervals(observed: Floats, resampled: Floats, level: float = 0.95, seed: int = 0) -> dict[str, Interval]:
    """Compute percentile intervals of the mean difference from resampled images, seeds, and both.

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


def p_value(differences: Floats) -> float:
    """Return the two-sided p of Student's test; 1 when the seeds do not differ: there is no scale to judge by."""
    if _constant(differences):
        return 1.0
    mean, error = _mean_and_error(differences)
    return 2 * float(special.stdtr(len(differences) - 1, -abs(mean) / error))


def _constant(differences: Floats) -> bool:
    """Tell whether all differences are one number, up to the rounding of a subtraction."""
    return bool(np.ptp(differences) <= 1e-9 * np.abs(differences).max())


def _mean_and_error(differences: Floats) -> tuple[float, float]:
    mean = float(differences.mean())
    return mean, math.sqrt(float(((differences - mean) ** 2).sum()) / (len(differences) - 1) / len(differences))
