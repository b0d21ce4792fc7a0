"""Ranks, p-values and their intervals, against cases worked by hand and against truth."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from study.scan.label_exchange import EXCHANGES, exchange_p, gains
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


def test_gains_pair_every_gradient_with_every_change() -> None:
    x = torch.arange(8.0).view(2, 1, 2, 2)
    g = torch.tensor([[1.0, 0, 0, 0], [0, 2.0, 0, 0]]).view(2, 1, 2, 2)
    doubled = nn.ModuleList([nn.Identity()])
    doubled[0].forward = lambda x: 2 * x  # type: ignore[method-assign]
    # δ = x: image 0 has 0 1 2 3, image 1 has 4 5 6 7
    assert gains(doubled, [(x, g)], np.array([0, 1])).tolist() == [[-0.0, -4.0], [-2.0, -10.0]]


def test_exchange_p_counts_exchanges_that_gain_as_much() -> None:
    paired = np.eye(12) * 5
    assert exchange_p([paired, paired], "x") == pytest.approx(1 / (EXCHANGES + 1))
    same_for_all = np.tile(np.arange(6.0), (6, 1))  # a change that gains alike under every pairing says nothing
    assert exchange_p([same_for_all], "x") == 1.0
    # three images: the identity gains 3, as do 1 of 6 orders at most; each order is drawn about equally often
    assert exchange_p([np.eye(3)], "x") == pytest.approx(1 / 6, abs=0.04)


def test_exchange_p_is_uniform_where_changes_have_nothing_to_do_with_labels() -> None:
    draw = np.random.default_rng(1)
    p = [exchange_p([draw.normal(size=(8, 5)) @ draw.normal(size=(5, 8))], number) for number in range(200)]
    assert stats.kstest(p, "uniform").pvalue > 0.01
    shifted = [exchange_p([draw.normal(size=(8, 8)) + np.eye(8)], number) for number in range(200)]
    assert stats.kstest(shifted, "uniform").pvalue < 1e-6  # so the check can fail


def test_draws_depend_on_their_labels_alone() -> None:
    first, second = folds(9, 4)
    assert sorted([*first, *second]) == list(range(9))
    assert (len(first), len(second)) == (4, 5)
    assert folds(9, 4)[0].tolist() == first.tolist()
    assert seed_of("a", 1) != seed_of("a1")
