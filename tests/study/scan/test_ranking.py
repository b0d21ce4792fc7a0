"""Ranks, p-values and their intervals, against cases worked by hand and against truth."""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from study.scan.label_exchange import EXCHANGES, exchange_p, exchanged_labels
from study.scan.ranking import better_p, rank, rank_intervals, unbeaten
from study.scan.record import Record, folds, seed_of


def named(*names: str) -> list[Any]:
    return [SimpleNamespace(name=name) for name in names]


def test_the_best_mean_comes_first_and_a_higher_rung_before_it() -> None:
    records = {"a": Record([1.0, 3.0]), "b": Record([4.0, 2.0]), "c": Record([0.0, 0.5], rung=1)}
    ranked = rank(named("a", "b", "c"), records, {"a": 0.25})
    assert [entry.candidate.name for entry in ranked] == ["c", "b", "a"]
    assert [entry.score for entry in ranked] == [0.25, 3.0, 2.0]
    assert ranked[1].error == pytest.approx(1.0)  # sd √2 of two units
    assert ranked[2].p_plain == 0.25
    assert np.isnan(ranked[1].p_plain)


def test_scores_without_a_common_scale_are_ranked_by_their_error() -> None:
    records = {"large": Record([10.0, -8.0, 4.0]), "sure": Record([0.1, 0.11, 0.09])}
    assert [entry.candidate.name for entry in rank(named(*records), records, {}, by_error=True)] == ["sure", "large"]
    assert [entry.candidate.name for entry in rank(named(*records), records, {})] == ["large", "sure"]


def test_ranks_of_what_is_far_apart_are_certain_and_of_twins_are_not() -> None:
    draw = np.random.default_rng(0)
    units = draw.normal(size=(3, 40)) + np.array([[9.0], [0.0], [0.0]])
    low, high = rank_intervals(units, np.zeros(3), seed=0)
    assert (low[0], high[0]) == (1, 1)
    assert all(high[1:] >= 3)
    assert all(low[1:] <= 2)


def test_better_p_is_students_one_sided() -> None:
    # differences 1, 2, 3: mean 2, sd 1, t = 2√3; one-sided p with 2 degrees of freedom
    assert better_p(np.array([1.0, 2.0, 3.0]), np.zeros(3)) == pytest.approx(stats.t.sf(2 * 3**0.5, 2))
    assert better_p(np.ones(4), np.ones(4)) == 1.0


def test_unbeaten() -> None:
    ranked: Any = [SimpleNamespace(candidate=SimpleNamespace(name=name)) for name in "abcd"]
    assert unbeaten(ranked, {"a": 3.0, "b": 5.0, "c": 2.0, "d": 2.0}) == {"a", "c"}


def test_exchange_p_counts_exchanges_that_gain_as_much() -> None:
    assert exchange_p(np.array([3.0, 1.0, 2.0, 0.0])) == 0.25
    assert exchange_p(np.array([1.0, 1.0, 2.0, 0.0])) == 0.75
    assert exchange_p(np.zeros(4)) == 1.0


def test_exchange_p_is_uniform_where_labels_have_nothing_to_do_with_images() -> None:
    """Squared loss of random predictions, changed at random and shrunk for all images alike, on labels of their own."""
    draw = np.random.default_rng(2)

    def p(follows: float) -> float:
        labels, before = draw.normal(size=16), draw.normal(size=16)
        after = 0.7 * before + 0.3 * draw.normal(size=16) + follows * labels
        orders = exchanged_labels(np.arange(16), draw.integers(1 << 30))
        return exchange_p(np.array([((before - labels[o]) ** 2 - (after - labels[o]) ** 2).mean() for o in orders]))

    step = 1 / (1 + EXCHANGES)
    values = np.array([p(0.0) for _ in range(600)])
    # p takes multiples of 1 / 40; spread over the width of a step it is uniform on 0 … 1
    assert stats.kstest(values - step * draw.uniform(size=600), "uniform").pvalue > 0.01
    assert np.mean([p(0.5) <= 0.05 for _ in range(100)]) > 0.5  # the check can fail


def test_labels_are_exchanged_within_the_images() -> None:
    own, *others = exchanged_labels(np.array([2, 5, 7, 9]), "x")
    assert own == [2, 5, 7, 9]
    assert len(others) == EXCHANGES
    assert all(sorted(other) == own for other in others)
    assert len({tuple(other) for other in others}) > 12  # of 24


def test_draws_depend_on_their_labels_alone() -> None:
    first, second = folds(9, 4)
    assert sorted([*first, *second]) == list(range(9))
    assert (len(first), len(second)) == (4, 5)
    assert folds(9, 4)[0].tolist() == first.tolist()
    assert seed_of("a", 1) != seed_of("a1")


def test_a_gain_that_is_no_number_has_no_p() -> None:
    assert math.isnan(exchange_p(np.full(40, np.nan)))
    assert exchange_p(np.array([1.0, *[0.0] * 39])) == 1 / 40
