"""Rank scored candidates: p against controls, how sure the ranks are, and which nothing cheaper beats."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from study.scan.candidates import Candidate
from study.scan.record import Record, seed_of

RESAMPLES = 1000
LEVEL = 0.95


@dataclass(frozen=True)
class Ranked:
    """A candidate with all that is known of it.

    Attributes:
        candidate: which.
        rank: 1 is the best.
        rank_low, rank_high: where its rank lies in 95 % of resamples of the units.
        score: mean of its units.
        error: standard error of that.
        p: against exchanged labels, see `label_exchange`.
        p_plain: one-sided, that it is no better than plain convolutions of its size at its place: Student's test of
            the differences unit by unit; NaN where there are none.
        rung: of successive halving.
    """

    candidate: Candidate
    rank: int
    rank_low: int
    rank_high: int
    score: float
    error: float
    p: float
    p_plain: float
    rung: int


def rank(
    candidates: Sequence[Candidate],
    records: Mapping[str, Record],
    p_plain: Mapping[str, float],
    seed: int = 0,
    by_error: bool = False,
) -> list[Ranked]:
    """Rank candidates, the best first.

    Args:
        candidates: scored ones.
        records: by candidate's name.
        p_plain: by candidate's name, from `better_p`; one without a control is missing.
        seed: of the resamples.
        by_error: rank by score / standard error, where scores of different mechanisms have no common scale.
    """
    units = np.array([records[candidate.name].units for candidate in candidates])
    rungs = np.array([records[candidate.name].rung for candidate in candidates])
    means = units.mean(1)
    errors = units.std(1, ddof=1) / np.sqrt(units.shape[1])
    low, high = rank_intervals(units, rungs, seed, by_error)
    order = _order(_statistic(means, errors, by_error), rungs)
    ranked = []
    for place, index in enumerate(order):
        candidate = candidates[index]
        ranked.append(
            Ranked(
                candidate=candidate,
                rank=place + 1,
                rank_low=int(low[index]),
                rank_high=int(high[index]),
                score=float(means[index]),
                error=float(errors[index]),
                p=records[candidate.name].p,
                p_plain=p_plain.get(candidate.name, float("nan")),
                rung=int(rungs[index]),
            )
        )
    return ranked


def better_p(units: np.ndarray, control: np.ndarray) -> float:
    """Return the one-sided p that scores are no better than a control's on the same units; 1 where both agree."""
    differences = units - control
    if np.ptp(differences) == 0:
        return 1.0 if differences[0] <= 0 else 0.0
    return float(stats.ttest_1samp(differences, 0.0, alternative="greater").pvalue)


def rank_intervals(
    units: np.ndarray, rungs: np.ndarray, seed: int, by_error: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Return where each candidate's rank lies when the units are resampled, the same ones for all.

    Args:
        units: (candidates, units) scores.
        rungs: (candidates,) those of a higher rung come first.
        seed: of the resamples.
        by_error: see `rank`.

    Returns:
        Lowest and highest rank of the middle 95 %.
    """
    random = np.random.default_rng(seed_of("ranks", seed))
    count = units.shape[1]
    ranks = np.empty((RESAMPLES, len(units)), dtype=np.int64)
    for number in range(RESAMPLES):
        weights = random.multinomial(count, np.full(count, 1 / count)) / count
        means = units @ weights
        errors = np.sqrt(np.maximum((units - means[:, None]) ** 2 @ weights, 0) / (count - 1))
        ranks[number, _order(_statistic(means, errors, by_error), rungs)] = np.arange(1, len(units) + 1)
    tail = (1 - LEVEL) / 2
    return np.floor(np.quantile(ranks, tail, axis=0)), np.ceil(np.quantile(ranks, 1 - tail, axis=0))


def _statistic(means: np.ndarray, errors: np.ndarray, by_error: bool) -> np.ndarray:
    """Return what candidates are ordered by."""
    return means / np.maximum(errors, 1e-12 * np.abs(means) + np.finfo(float).tiny) if by_error else means


def _order(means: np.ndarray, rungs: np.ndarray) -> np.ndarray:
    return np.lexsort((-means, -rungs))


def unbeaten(ranked: Sequence[Ranked], cost: Mapping[str, float]) -> set[str]:
    """Return the names of candidates than which no other is both cheaper and better placed.

    Args:
        ranked: the best first.
        cost: by candidate's name.
    """
    names, cheapest = set(), float("inf")
    for entry in ranked:
        if cost[entry.candidate.name] < cheapest:
            cheapest = cost[entry.candidate.name]
            names.add(entry.candidate.name)
    return names
