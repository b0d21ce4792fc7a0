"""The verdict: by hand, by reference values, and by simulated studies whose truth is known."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from study.analysis.intervals import (
    Verdict,
    bootstrap_intervals,
    corrected_intervals,
    studentised_interval,
    verdict,
)
from study.analysis.statistics import compare_with_baseline, holm, paired_differences, permutation_p

SPREAD = 0.0035  # of AP over seeds: reported values are 0.003 to 0.004


def simulated_runs(rng, studies, seeds, variants, effect):
    """AP of runs without or with a true effect: (studies, variants, seeds) paired differences.

    Baseline and variants of one seed share half of its variance (initial values, data order); the other half is their
    own, and skewed: one run in twenty goes badly. The spread of runs and that of differences are both SPREAD.
    """
    shape = (studies, variants + 1, seeds)
    bad = rng.random(shape) < 0.05
    own = rng.normal(0, 1, shape) - 2 * bad
    own = (own + 2 * 0.05) / np.sqrt(1 + 4 * 0.05 * 0.95)
    shared = rng.normal(0, 1, (studies, 1, seeds))
    ap = 0.37 + SPREAD * np.sqrt(0.5) * (own + shared)
    ap[:, 1:] += effect
    return ap[:, 1:] - ap[:, :1]


def verdicts(differences):
    """The verdict of every variant of every study."""
    return [
        [verdict(i) for i in corrected_intervals({str(k): d for k, d in enumerate(study)}).values()]
        for study in differences
    ]


def test_simulated_runs_have_the_spread_they_claim():
    differences = simulated_runs(np.random.default_rng(0), 20000, 5, 1, 0.0)
    assert differences.std() == pytest.approx(SPREAD, rel=0.02)
    assert abs(differences.mean()) < SPREAD / 50


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_false_positive_rate(seeds):
    """Nominal 5 %: of 4,000 studies without an effect 3 to 7 % claim one."""
    found = verdicts(simulated_runs(np.random.default_rng(seeds), 4000, seeds, 1, 0.0))
    claims = sum(v is not Verdict.NONE for (v,) in found)
    gains = sum(v is Verdict.GAIN for (v,) in found)
    assert 0.03 <= claims / 4000 <= 0.07
    assert 0.3 <= gains / claims <= 0.7  # on either side alike


@pytest.mark.parametrize("seeds", [3, 5])
def test_false_positive_rate_of_a_family(seeds):
    """Four variants that share a baseline: at most 7 % of studies without effects make one or more claims."""
    found = verdicts(simulated_runs(np.random.default_rng(seeds), 2000, seeds, 4, 0.0))
    claims = sum(any(v is not Verdict.NONE for v in study) for study in found)
    assert 0.01 <= claims / 2000 <= 0.07


def test_planted_effect_is_found():
    """Twice the spread over seeds is called a gain in 80 % or more at five seeds, and its negative a loss."""
    rng = np.random.default_rng(0)
    for sign, wanted in ((1, Verdict.GAIN), (-1, Verdict.LOSS)):
        found = verdicts(simulated_runs(rng, 2000, 5, 1, sign * 2 * SPREAD))
        assert sum(v is wanted for (v,) in found) / 2000 >= 0.8


def test_interval_worked_by_hand():
    """Mean 3, standard deviation sqrt(2.5), five values: 3 ± 2.776 · sqrt(2.5 / 5)."""
    interval = studentised_interval([1, 2, 3, 4, 5])
    assert (interval.mean, interval.level) == (3, 0.95)
    assert interval.high - 3 == pytest.approx(2.7764451 * np.sqrt(0.5), abs=1e-6)
    assert 3 - interval.low == pytest.approx(2.7764451 * np.sqrt(0.5), abs=1e-6)


def test_interval_and_p_are_scipys():
    for n in (2, 3, 8, 30):
        values = np.random.default_rng(n).normal(0.4, 1, n)
        expected = stats.ttest_1samp(values, 0)
        interval = studentised_interval(values, 0.9)
        assert (interval.low, interval.high) == pytest.approx(tuple(expected.confidence_interval(0.9)), rel=1e-9)
        result = compare_with_baseline(dict.fromkeys(range(n), 0.0), {"v": dict(enumerate(values))})
        assert result["v"].p == pytest.approx(expected.pvalue, rel=1e-9)


def test_holm_worked_by_hand():
    """Sorted 0.005 0.01 0.03 0.04 times 4 3 2 1: 0.02 0.03 0.06 0.04, and a value never falls below one before it."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1, 1]
    assert holm([]) == []


@pytest.mark.parametrize("seed", range(40))
def test_intervals_and_corrected_p_agree(seed):
    rng = np.random.default_rng(seed)
    shifts = rng.choice([0, 0.5, 1, 2, 4], 5)
    base = dict(enumerate(rng.normal(0, 0.5, 6)))
    variants = {f"v{i}": {s: base[s] + rng.normal(shift, 1) for s in base} for i, shift in enumerate(shifts)}
    result = compare_with_baseline(base, variants)
    assert list(result) == list(variants)
    for c in result.values():
        assert (c.verdict is not Verdict.NONE) == (c.p_holm <= 0.05)
        assert c.p <= c.p_holm
        assert c.corrected.low <= c.interval.low <= c.interval.mean <= c.interval.high <= c.corrected.high


@pytest.mark.parametrize("differences", [[1, 2, 3, 4, 5], [0.3, -0.1, 0.2], [1, -2, 3, -4, 5, 0.5, 2], [2, 2]])
def test_permutation_p_against_all_sign_changes(differences):
    observed = abs(np.mean(differences))
    means = [np.mean(np.multiply(differences, signs)) for signs in product([1, -1], repeat=len(differences))]
    p, smallest = permutation_p(differences)
    assert p == pytest.approx(np.mean([abs(m) >= observed - 1e-12 for m in means]))
    assert smallest == 2 / 2 ** len(differences)


def test_smallest_permutation_p():
    """All five differences on one side: the best that five seeds can do is 2 / 32."""
    assert permutation_p([1, 2, 3, 4, 5]) == pytest.approx((0.0625, 0.0625))
    p, smallest = permutation_p(np.linspace(1, 2, 40))
    assert p == pytest.approx(smallest)
    assert smallest < 1e-4


def test_comparison_says_what_it_is_based_on():
    baseline = {1: 0.30, 2: 0.31, 3: 0.29, 4: 0.30, 9: 0.5}
    variants = {
        "better": {4: 0.342, 3: 0.33, 2: 0.351, 1: 0.34, 7: 0.1},
        "same": {1: 0.30, 2: 0.31, 3: 0.29, 4: 0.30},
        "worse": {1: 0.20, 2: 0.2101, 3: 0.1899},
    }
    result = compare_with_baseline(baseline, variants)
    assert [c.verdict for c in result.values()] == [Verdict.GAIN, Verdict.NONE, Verdict.LOSS]
    better, same = result["better"], result["same"]
    assert better.seeds == (1, 2, 3, 4)
    assert better.differences == pytest.approx((0.04, 0.041, 0.04, 0.042))
    assert better.spread == pytest.approx(np.std([0.04, 0.041, 0.04, 0.042], ddof=1))
    assert better.corrected.level > better.interval.level == 0.95
    assert 0 < better.detectable < 0.04
    assert (same.p, same.p_permutation, same.spread, same.detectable) == (1, 1, 0, 0)


def test_one_difference_at_every_seed_is_no_evidence():
    """Runs that do not vary (one run copied, say) give no scale: no verdict, whatever the difference."""
    baseline = {1: 0.30, 2: 0.31, 3: 0.29}
    result = compare_with_baseline(baseline, {"copied": {s: v + 0.1 for s, v in baseline.items()}})["copied"]
    assert result.verdict is Verdict.NONE
    assert (result.p, result.corrected.low, result.corrected.high) == (1, -np.inf, np.inf)


def test_unusable_values():
    with pytest.raises(ValueError, match="metric of 'v' with seed 2 is nan; expected a finite number"):
        compare_with_baseline({1: 0.1, 2: 0.2}, {"v": {1: 0.1, 2: float("nan")}})
    with pytest.raises(ValueError, match="metric of the baseline with seed 1 is inf"):
        paired_differences({1: float("inf")}, {1: 0.0})
    with pytest.raises(ValueError, match="'v' shares 1 seed\\(s\\) with the baseline; a comparison needs two"):
        compare_with_baseline({1: 0.1, 2: 0.2}, {"v": {1: 0.1, 3: 0.3}})


def test_no_variants():
    assert compare_with_baseline({1: 0.1, 2: 0.2}, {}) == {}


def test_bootstrap_of_images_and_seeds():
    """Seeds vary by 1, images move all runs alike by 0.5: spreads of the mean of n runs are 1/sqrt(n) and 0.5."""
    rng = np.random.default_rng(0)
    observed = rng.normal(3, 1, 400)
    resampled = observed[:, None] + rng.normal(0, 0.5, 4000)
    result = bootstrap_intervals(observed, resampled)
    reach = {what: (i.high - i.low) / 2 / 1.96 for what, i in result.items()}
    assert all(i.mean == pytest.approx(observed.mean()) for i in result.values())
    assert reach["images"] == pytest.approx(0.5, rel=0.05)
    assert reach["seeds"] == pytest.approx(0.05, rel=0.1)
    assert reach["seeds and images"] == pytest.approx(np.hypot(0.5, 0.05), rel=0.05)


def test_bootstrap_of_unusable_values():
    with pytest.raises(ValueError, match=r"shapes \(3,\), \(2, 9\)"):
        bootstrap_intervals(np.zeros(3), np.zeros((2, 9)))
    with pytest.raises(ValueError, match="not finite; leave out resamples without any object"):
        bootstrap_intervals(np.zeros(2), np.full((2, 9), np.nan))
