"""Compute what a number of seeds can show: power of the studentised test of paired differences."""

from __future__ import annotations

import math

from scipy import optimize, stats

FAR = 1e4  # noncentrality from which on the normal part of t is nothing beside it, and scipy's series do not end


def achieved_power(effect: float, spread: float, seeds: int, alpha: float = 0.05) -> float:
    """Return the chance that the two-sided studentised test calls a true mean difference.

    Args:
        effect: true mean difference, of either sign.
        spread: standard deviation of the differences over seeds, > 0.
        seeds: number of pairs, >= 2.
        alpha: level of the test.

    Returns:
        The chance, between `alpha` and 1.

    Raises:
        ValueError: if the spread is not positive, or there are fewer than two seeds.
    """
    if not spread > 0 or seeds < 2:
        raise ValueError(f"spread={spread}, seeds={seeds}; expected a spread > 0 and two seeds or more")
    shift = effect / spread * math.sqrt(seeds)
    if shift == 0:
        return alpha  # scipy's noncentral F is wrong at exactly 0
    # The square of a noncentral t is a noncentral F; scipy's own noncentral t is NaN for some large shifts.
    limit = float(stats.t.isf(alpha / 2, seeds - 1))
    if abs(shift) > FAR:  # t is shift / the root of a mean of squares, but for a ten-thousandth
        return float(stats.chi2.cdf((seeds - 1) * (shift / limit) ** 2, seeds - 1))
    return float(stats.ncf.sf(limit**2, 1, seeds - 1, shift**2))


def smallest_detectable(spread: float, seeds: int, power: float = 0.8, alpha: float = 0.05) -> float:
    """Return the smallest true difference that is called in `power` of studies.

    Args:
        spread: standard deviation of the differences over seeds.
        seeds: number of pairs, >= 2.
        power: wanted share, between `alpha` and 1.
        alpha: two-sided level.

    Returns:
        The difference, in the unit of `spread`; 0 when there is no spread.

    Raises:
        ValueError: if `power` is not between `alpha` and 1.
    """
    _check(power, alpha)
    if spread == 0:
        return 0.0
    most = 1.0
    while achieved_power(most, 1.0, seeds, alpha) < power:
        most *= 2
    return spread * float(optimize.brentq(lambda effect: achieved_power(effect, 1.0, seeds, alpha) - power, 0.0, most))


def seeds_needed(effect: float, spread: float, power: float = 0.8, alpha: float = 0.05, most: int = 1000) -> int | None:
    """Return the fewest seeds at which a true difference of `effect` is called in `power` of studies.

    Args:
        effect: true mean difference.
        spread: standard deviation of the differences over seeds, > 0.
        power: wanted share, between `alpha` and 1.
        alpha: two-sided level.
        most: give up beyond it.

    Returns:
        The number of seeds, or None when more than `most` would be needed.

    Raises:
        ValueError: if `power` is not between `alpha` and 1, or the spread is not positive.
    """
    _check(power, alpha)
    if achieved_power(effect, spread, most, alpha) < power:
        return None
    low, high = 1, most  # power rises with the number of seeds
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if achieved_power(effect, spread, middle, alpha) >= power else (middle, high)
    return high


def _check(power: float, alpha: float) -> None:
    if not 0 < alpha < power < 1:
        raise ValueError(f"alpha={alpha}, power={power}; expected 0 < alpha < power < 1")
