"""Halve candidates in turn: all train for a few steps, the better half anew for twice as many, and so on."""

from collections.abc import Callable, Sequence

import numpy as np

from study.scan.candidates import Candidate
from study.scan.record import Record

RUNGS = 4  # each has half of the candidates and twice the steps of the one before

Score = Callable[[Sequence[Candidate], int, int], dict[str, Record]]


def first_steps(steps: int) -> int:
    """Return the steps of the first rung, of the longest training's."""
    return max(1, steps >> (RUNGS - 1))


def halve(candidates: Sequence[Candidate], steps: int, score: Score) -> tuple[dict[str, Record], dict[str, Record]]:
    """Score candidates by successive halving.

    Args:
        candidates: all different.
        steps: of the longest training.
        score: takes candidates, steps and the rung from 0.

    Returns:
        Candidate's name → record of the last rung that it reached, with the p of the first; and those of the first.
    """
    left = list(candidates)
    result: dict[str, Record] = {}
    first: dict[str, Record] = {}
    for rung in range(RUNGS):
        records = score(left, max(1, steps >> (RUNGS - 1 - rung)), rung)
        first = first or records
        for name, record in records.items():
            result[name] = Record(record.units, first[name].p, rung)
        left = [candidate for candidate in left if records[candidate.name].finite]
        left.sort(key=lambda candidate: -float(np.mean(records[candidate.name].units)))
        if not left:
            break
        left = left[: max(1, (len(left) + 1) // 2)]
    return result, first
