"""A study that grows: levels of its looks, and how often it is fooled."""

import numpy as np
import pytest
from scipy import stats

from study.analysis.alpha_spending import compare_at_looks, plan_looks, spent
from study.analysis.intervals import Verdict, p_value

LOOKS = plan_looks([5, 10, 15], 15)


def calls(differences: np.ndarray) -> np.ndarray:
    """Return for each study (rows) the look that calls a difference, 0 for none; plain Student tests at each level."""
    called = np.zeros(len(differences), dtype=int)
    for number, look in enumerate(LOOKS, 1):
        p = stats.ttest_1samp(differences[:, : look.seeds], 0.0, axis=1).pvalue
        called[(called == 0) & (p < look.alpha)] = number
    return called


def test_levels_are_what_lan_and_demets_spend() -> None:
    # 2 - 2 Φ(1.95996 / √t): at a third 0.00069, at two thirds 0.01638, in all 0.05
    assert [spent(share) for share in (0, 1 / 3, 2 / 3, 1)] == pytest.approx([0, 0.000687, 0.016378, 0.05], abs=2e-5)
    assert [look.alpha for look in LOOKS] == pytest.approx([0.000687, 0.015691, 0.033622], abs=2e-5)
    assert [look.smallest_p for look in LOOKS] == [2 / 32, 2 / 1024, 2 / 32768]
    assert [look.can_reject_by_signs for look in LOOKS] == [False, True, True]
    with pytest.raises(ValueError, match="expected rising numbers"):
        plan_looks([5, 5], 15)


def test_false_claims_over_three_looks_and_the_price_in_power() -> None:
    draw = np.random.default_rng(0)
    # differences of two skewed runs, of mean 0 and standard deviation 1
    noise = (draw.gamma(4.0, size=(40_000, 15)) - draw.gamma(4.0, size=(40_000, 15))) / 8**0.5
    assert 0.03 <= np.mean(calls(noise) > 0) <= 0.05
    naive = [stats.ttest_1samp(noise[:, :n], 0.0, axis=1).pvalue < 0.05 for n in (5, 10, 15)]
    assert np.mean(np.any(naive, axis=0)) > 0.09  # looking three times at 5 % each
    shifted = noise[:10_000] + 0.8
    grown = np.mean(calls(shifted) > 0)
    fixed = np.mean(stats.ttest_1samp(shifted, 0.0, axis=1).pvalue < 0.05)
    assert fixed - 0.06 <= grown <= fixed


@pytest.mark.parametrize(
    ("effect", "grown", "fixed", "seeds"), [(0.4, 0.28, 0.32, 14.5), (0.8, 0.78, 0.82, 12.9), (1.0, 0.92, 0.94, 11.9)]
)
def test_the_price_is_the_one_that_the_documents_name(effect: float, grown: float, fixed: float, seeds: float) -> None:
    draw = np.random.default_rng(2)
    values = (draw.gamma(4.0, size=(10_000, 15)) - draw.gamma(4.0, size=(10_000, 15))) / 8**0.5 + effect
    called = calls(values)
    assert np.mean(called > 0) == pytest.approx(grown, abs=0.015)
    assert np.mean(stats.ttest_1samp(values, 0.0, axis=1).pvalue < 0.05) == pytest.approx(fixed, abs=0.015)
    assert np.take([15, 5, 10, 15], called).mean() == pytest.approx(seeds, abs=0.15)


def test_the_rule_is_the_simulated_one() -> None:
    draw = np.random.default_rng(1)
    for _ in range(3):
        values = draw.normal(0.8, 1.0, 15)
        base = dict.fromkeys(range(15), 0.0)
        found = compare_at_looks(base, {"a": dict(enumerate(values))}, LOOKS)["a"]
        assert (found.verdict is not Verdict.NONE) == bool(calls(values[None])[0])
        assert found.p == pytest.approx(p_value(values))
        assert 1 - found.corrected.level == pytest.approx(LOOKS[-1].alpha)


def test_what_was_called_stays_called() -> None:
    sure = [1.0, 1.01, 0.99, 1.02, 0.98]
    later = [-1.0, 1.0, -2.0, 2.0, -1.5, -1.0, 1.0, -2.0, 2.0, -1.5]
    values = dict(enumerate([*sure, *later]))
    found = compare_at_looks(dict.fromkeys(range(15), 0.0), {"a": values}, LOOKS)["a"]
    assert found.verdict is Verdict.GAIN
    assert found.corrected.low < 0  # the last look alone would not


@pytest.mark.parametrize(("seeds", "most"), [(5, 100), (2, 20), (5, 1000)])
def test_a_first_look_that_may_spend_next_to_nothing(seeds: int, most: int) -> None:
    draw = np.random.default_rng(3)
    looks = plan_looks([seeds, most], most)
    assert sum(look.alpha for look in looks) == pytest.approx(0.05, abs=1e-8)
    values = dict(enumerate(draw.normal(0.1, 1.0, seeds)))
    found = compare_at_looks(dict.fromkeys(range(seeds), 0.0), {"a": values}, looks[:1])["a"]
    assert found.verdict is Verdict.NONE
    assert not found.constant  # the seeds differ, however wide the interval is
    # beside the level of the look: Student's interval of this variant alone, as its column says
    low, high = stats.t.interval(0.95, seeds - 1, np.mean(list(values.values())), stats.sem(list(values.values())))
    assert (found.interval.low, found.interval.high) == pytest.approx((low, high))


def test_nothing_is_called_before_a_look_is_complete() -> None:
    sure = dict(enumerate([1.0, 1.01, 0.99, 1.02, 0.98, 1.0, 1.01]))
    base = dict.fromkeys(range(7), 0.0)
    late = {seed: (value if seed > 4 else (-1) ** seed * 0.01) for seed, value in sure.items()}
    found = compare_at_looks(base, {"a": sure, "late": late}, LOOKS[:2], complete=False)
    assert found["a"].verdict is Verdict.GAIN  # by the first look, which was
    assert found["late"].verdict is Verdict.OPEN
    first = compare_at_looks({s: 0.0 for s in range(3)}, {"a": dict(list(sure.items())[:3])}, LOOKS[:1], complete=False)
    assert first["a"].verdict is Verdict.OPEN
