"""Effects over several data sets: a textbook's example, and simulated data sets whose truth is known."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from study.analysis.alpha_spending import plan_looks
from study.analysis.intervals import Verdict
from study.analysis.pooled import pool, pool_variants, seed_variances
from study.analysis.statistics import compare_with_baseline

# Borenstein, Hedges, Higgins & Rothstein, Introduction to Meta-Analysis, 2009, chapter 14: standardised differences.
EFFECTS = [0.095, 0.277, 0.367, 0.664, 0.462, 0.185]
VARIANCES = [0.033, 0.031, 0.050, 0.011, 0.043, 0.023]


def test_a_textbooks_example() -> None:
    """The book's columns y and v, worked by hand with the formulas of its chapters 12 and 16.

    w = 1/v: 30.3030, 32.2581, 20, 90.9091, 23.2558, 43.4783, in all 240.2043; Σwy 98.3056; Σwy² 51.9757; Σw² 13054.51.
    Q = 51.9757 - 98.3056²/240.2043 = 11.743; C = 240.2043 - 13054.51/240.2043 = 185.857; T² = (Q - 5)/C = 0.03628.
    w* = 1/(v + T²): 14.4337, 14.8627, 11.5898, 21.1495, 12.6131, 16.8684, together 91.5172; Σw*y 32.7328.
    M* = 32.7328/91.5172 = 0.35767; I² = (Q - 5)/Q = 0.574.
    """
    assert [round(1 / variance, 4) for variance in VARIANCES] == [30.303, 32.2581, 20, 90.9091, 23.2558, 43.4783]
    pooled = pool(EFFECTS, VARIANCES)
    assert pooled.interval.mean == pytest.approx(0.3577, abs=1e-4)
    assert pooled.tau**2 == pytest.approx(0.0363, abs=1e-4)
    assert pooled.i_squared == pytest.approx(0.574, abs=1e-3)
    assert pooled.p_heterogeneity == pytest.approx(stats.chi2.sf(11.743, 5), abs=1e-4)


@pytest.mark.parametrize("effects", [EFFECTS, [0.30, 0.31, 0.29, 0.30, 0.31, 0.30]])
def test_against_the_formulas(effects: list[float]) -> None:
    """DerSimonian and Laird's spread, 0 at the least, and the wider of their and Hartung and Knapp's interval."""
    y, v = np.array(effects), np.array(VARIANCES)
    w = 1 / v
    q = float((w * (y - (w * y).sum() / w.sum()) ** 2).sum())
    tau2 = max(0.0, (q - 5) / (w.sum() - (w**2).sum() / w.sum()))
    w = 1 / (v + tau2)
    mean = (w * y).sum() / w.sum()
    error = math.sqrt(float((w * (y - mean) ** 2).sum()) / 5 / w.sum())
    reach = max(stats.t.isf(0.025, 5) * error, stats.norm.isf(0.025) / math.sqrt(w.sum()))
    pooled = pool(effects, VARIANCES)
    assert pooled.tau**2 == pytest.approx(tau2, rel=1e-6)
    assert pooled.interval.mean == pytest.approx(mean, rel=1e-6)
    assert pooled.interval.high - mean == pytest.approx(reach, rel=1e-6)
    small = pool([effect / 1000 for effect in effects], [variance / 1e6 for variance in VARIANCES])
    assert small.interval.low == pytest.approx(pooled.interval.low / 1000, rel=1e-6)


@pytest.mark.parametrize("effects", [[0.5, 0.5], [0.50, 0.51], [0.5, 0.5, 0.5]])
def test_data_sets_that_agree_by_chance_are_no_proof(effects: list[float]) -> None:
    """Of two equal means Hartung and Knapp's interval alone is a point; seeds that vary say otherwise."""
    count = len(effects)
    pooled = pool(effects, [0.2**2] * count, freedom=7 * count)
    assert pooled.interval.high - pooled.interval.mean == pytest.approx(
        stats.t.isf(0.025, 7 * count) * 0.2 / math.sqrt(count)
    )
    sure = pooled.interval.mean / (0.2 / math.sqrt(count))
    assert pooled.p >= 2 * stats.t.sf(sure, 7 * count) * (1 - 1e-9)


@pytest.mark.parametrize(("tau", "least"), [(0.0, 0.002), (1.0, 0.025)])
def test_false_claims_with_three_data_sets(tau: float, least: float) -> None:
    """Five seeds each, as noisy as each other or not, true effects of mean 0 that differ between data sets by tau."""
    draw = np.random.default_rng(int(tau))
    claims = []
    for _ in range(4000):
        spreads = draw.uniform(0.5, 1.5, 3)
        runs = draw.normal(draw.normal(0, tau, 3)[:, None], spreads[:, None], (3, 5))
        variances = seed_variances(runs.std(1, ddof=1).tolist(), [5] * 3)
        claims.append(pool(runs.mean(1).tolist(), variances, freedom=12).p < 0.05)
    assert least <= np.mean(claims) <= 0.055


def test_one_spread_for_all_data_sets() -> None:
    assert seed_variances([1.0, 2.0], [3, 5]) == pytest.approx([3.0 / 3, 3.0 / 5])  # (2·1 + 4·4) / 6 = 3


def test_variants_are_corrected_for_their_number() -> None:
    base = dict.fromkeys(range(4), 0.0)
    draw = np.random.default_rng(0)
    by_set = {
        name: compare_with_baseline(
            base,
            {
                "good": {seed: 0.05 + 0.001 * draw.normal() for seed in base},
                "none": {seed: 0.01 * draw.normal() for seed in base},
            },
        )
        for name in ("a", "b", "c")
    }
    del by_set["b"]["none"]
    pooled = pool_variants(by_set)
    assert pooled["good"][2] is Verdict.GAIN
    assert pooled["none"][2] is Verdict.NONE
    assert pooled["good"][1] == pytest.approx(min(1, 2 * pooled["good"][0].p))
    assert (pooled["good"][0].sets, pooled["none"][0].sets) == (3, 2)
    with pytest.raises(ValueError, match="expected two or more"):
        pool([0.1], [0.1])


def test_looks_at_pooled_studies_spend_five_percent_together() -> None:
    """Three data sets whose true effects differ around 0, looked at with 5, 10 and 15 seeds."""
    draw = np.random.default_rng(4)
    looks, seeds = plan_looks([5, 10, 15], 15), tuple(range(15))
    one = compare_with_baseline(dict.fromkeys(seeds, 0.0), {"v": dict.fromkeys(seeds, 0.0) | {0: 1.0}})["v"]
    called, thrice = [], []
    for _ in range(600):
        runs = draw.normal(draw.normal(0, 0.6, (3, 1)), 1, (3, 15))
        sets = {str(number): {"v": replace(one, differences=tuple(row))} for number, row in enumerate(runs)}
        called.append(pool_variants(sets, looks=looks)["v"][2] is not Verdict.NONE)
        p = []
        for count in (5, 10, 15):
            part = runs[:, :count]
            variances = seed_variances(part.std(1, ddof=1).tolist(), [count] * 3)
            p.append(pool(part.mean(1).tolist(), variances, freedom=3 * (count - 1)).p)
        thrice.append(min(p) < 0.05)
    assert np.mean(called) <= 0.05
    assert np.mean(thrice) > 0.07  # each look at 5 %


def test_a_pooled_look_that_is_not_complete_calls_nothing() -> None:
    looks = plan_looks([5, 10], 10)
    base = dict.fromkeys(range(7), 0.0)
    late = dict(enumerate([0.01, -0.01, 0.02, -0.02, 0.0, 1.0, 1.0]))
    sets = {name: compare_with_baseline(base, {"v": late}) for name in ("a", "b")}
    assert pool_variants(sets, looks=looks, complete=False)["v"][2] is Verdict.OPEN
    sure = dict(enumerate([1.0, 1.01, 0.99, 1.02, 0.98, 0.5, -3.0]))
    nearly = {seed: value * (1.0001 if seed else 1) for seed, value in sure.items()}
    sets = {name: compare_with_baseline(base, {"v": some}) for name, some in (("a", sure), ("b", nearly))}
    found = pool_variants(sets, looks=plan_looks([5, 10], 10), complete=False)["v"]
    assert found[2] is Verdict.GAIN  # by the first look, whatever came later
