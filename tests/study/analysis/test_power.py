"""Power of the paired test against published values and simulation."""

import numpy as np
import pytest
from scipy import stats

from study.analysis.power import achieved_power, seeds_needed, smallest_detectable


@pytest.mark.parametrize(("effect", "seeds", "power"), [(1.0, 10, 0.8031), (0.5, 34, 0.8078), (0.8, 15, 0.8213)])
def test_published_values(effect, seeds, power):
    """Matched pairs, two-sided 5 %, as the program G*Power gives them."""
    assert achieved_power(effect, 1.0, seeds) == pytest.approx(power, abs=1e-4)
    assert seeds_needed(effect, 1.0) == seeds


@pytest.mark.parametrize(("effect", "seeds", "alpha"), [(2.0, 5, 0.05), (1.0, 3, 0.05), (3.0, 4, 0.0125), (0, 8, 0.1)])
def test_power_is_the_share_of_simulated_studies(effect, seeds, alpha):
    differences = np.random.default_rng(0).normal(effect * 0.3, 0.3, (100_000, seeds))
    share = (stats.ttest_1samp(differences, 0, axis=1).pvalue <= alpha).mean()
    assert achieved_power(effect * 0.3, 0.3, seeds, alpha) == pytest.approx(share, abs=0.005)
    assert achieved_power(-effect * 0.3, 0.3, seeds, alpha) == achieved_power(effect * 0.3, 0.3, seeds, alpha)


@pytest.mark.parametrize("seeds", [2, 3, 5, 10, 200])
@pytest.mark.parametrize("alpha", [0.05, 0.05 / 12, 1e-4])
def test_smallest_detectable_effect_has_the_wanted_power(seeds, alpha):
    effect = smallest_detectable(0.004, seeds, 0.8, alpha)
    assert achieved_power(effect, 0.004, seeds, alpha) == pytest.approx(0.8, abs=1e-6)


def test_number_of_seeds_is_the_smallest():
    for effect in (0.4, 0.9, 1.7, 3.0, 30.0):
        needed = seeds_needed(effect, 1.0)
        assert achieved_power(effect, 1.0, needed) >= 0.8
        assert needed == 2 or achieved_power(effect, 1.0, needed - 1) < 0.8
    assert seeds_needed(0.01, 1.0) is None


def test_no_spread():
    assert smallest_detectable(0.0, 5) == 0
    with pytest.raises(ValueError, match=r"spread=0\.0, seeds=5; expected a spread > 0 and two seeds or more"):
        achieved_power(1.0, 0.0, 5)


@pytest.mark.parametrize("power", [0.05, 1.0, 0.01])
def test_power_out_of_range(power):
    for call in (lambda: smallest_detectable(1.0, 5, power), lambda: seeds_needed(1.0, 1.0, power)):
        with pytest.raises(ValueError, match="expected 0 < alpha < power < 1"):
            call()


def test_two_seeds_at_a_very_strict_level_end():
    """With a noncentrality in the millions t is shift / the root of a mean of squares: the quantile is chi-square's."""
    # n = 2: P(|t| > limit) = 0.8 where (shift / limit)² is chi-square's 80th percentile with one degree of freedom
    effect = smallest_detectable(1.0, 2, 0.8, 1e-9)
    limit = float(stats.t.isf(5e-10, 1))
    assert effect * 2**0.5 == pytest.approx(limit * stats.chi2.ppf(0.8, 1) ** 0.5, rel=1e-4)
    assert seeds_needed(1.0, 1e-7) == 2
