"""Score a group of candidates by the scan's method, cross-fitted: each image by what was learned on the others."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from study.scan.candidates import Candidate, Place
from study.scan.first_order import score_as_started
from study.scan.frozen_detector import FrozenDetector
from study.scan.group_training import (
    TOGETHER,
    Trained,
    changes,
    detached,
    groups,
    losses,
    train_alone,
    train_group,
)
from study.scan.label_exchange import exchange_p, gains
from study.scan.record import Record, folds

BY_ERROR = frozenset({"gradient"})  # methods whose scores have no scale in common between mechanisms


def divided(candidates: Sequence[Candidate], method: str) -> list[list[Candidate]]:
    """Divide candidates into groups that are scored together.

    Args:
        candidates: all different.
        method: one of METHODS.
    """
    if method in ("frozen", "joint"):
        return groups(candidates)
    return [list(candidates[start : start + TOGETHER]) for start in range(0, len(candidates), TOGETHER)]


def score_group(
    frozen: FrozenDetector,
    group: Sequence[Candidate],
    method: str,
    *,
    steps: int,
    draws: int,
    seed: int,
    memory: int,
    exchanged: bool = True,
) -> dict[str, Record]:
    """Score candidates of one group.

    Args:
        frozen: the detector and its images.
        group: from `divided`.
        method: one of METHODS.
        steps: of training.
        draws: of initial values.
        seed: of the scan.
        memory: MiB that maps may take.
        exchanged: whether p against exchanged labels is wanted.

    Returns:
        Candidate's name → record.
    """
    if method == "gradient":
        return {
            candidate.name: score_as_started(candidate, maps, draws, seed)
            for candidate, maps in _with_maps(frozen, group, memory)
        }
    units: dict[str, list[np.ndarray]] = {candidate.name: [] for candidate in group}
    kept: list[list[Trained]] = [[], []]
    for draw in range(draws):
        for name, values in _cross_fitted(frozen, group, method, steps, (seed, method, draw), kept).items():
            units[name].append(values)
    records = {name: Record(np.mean(values, axis=0).tolist()) for name, values in units.items()}
    for candidate, maps in _with_maps(frozen, group, memory) if exchanged else ():
        blocks = [
            sum((gains(trained[candidate], maps, half) for trained in some if candidate in trained), np.zeros(()))
            for some, half in zip(kept, folds(len(frozen.images), seed), strict=True)
        ]
        records[candidate.name].p = exchange_p(blocks, seed, candidate.name)
    return records


def _cross_fitted(
    frozen: FrozenDetector,
    group: Sequence[Candidate],
    method: str,
    steps: int,
    label: tuple[object, ...],
    kept: list[list[Trained]],
) -> dict[str, np.ndarray]:
    """Return each candidate's score of every unit; what was trained for each half is added to `kept`."""
    halves = folds(len(frozen.images), int(str(label[0])))
    scored: dict[str, list[np.ndarray]] = {candidate.name: [] for candidate in group}
    for number, (learned, held) in enumerate(zip(reversed(halves), halves, strict=True)):
        for trained, scores in _trained(frozen, group, method, learned, held, steps, (*label, number)):
            kept[number].append({candidate: detached(modules) for candidate, modules in trained.items()})
            for name, values in scores.items():
                scored[name].append(values)
    return {name: np.concatenate(parts) for name, parts in scored.items()}


def _trained(
    frozen: FrozenDetector,
    group: Sequence[Candidate],
    method: str,
    learned: np.ndarray,
    held: np.ndarray,
    steps: int,
    label: tuple[object, ...],
) -> Iterator[tuple[Trained, dict[str, np.ndarray]]]:
    """Train on some images, and yield what came of it with the scores on others."""
    if method == "halving":
        _, without = train_alone(frozen, None, learned, steps, *label)
        base = losses(without, held, {})
        for candidate in group:
            trained, host = train_alone(frozen, candidate, learned, steps, *label)
            yield trained, {candidate.name: base - losses(host, held, trained)}
        return
    trained, host = train_group(frozen, group, learned, steps, *label, joint=method == "joint")
    if method == "joint":
        yield trained, {c.name: changes(host, held, c, modules) for c, modules in trained.items()}
        return
    base = losses(frozen, held, {})
    yield trained, {c.name: base - losses(frozen, held, {c: modules}) for c, modules in trained.items()}


def _with_maps(frozen: FrozenDetector, group: Sequence[Candidate], memory: int) -> Iterator[tuple[Candidate, list]]:
    """Yield candidates with the maps of their places; as many maps are kept at a time as fit into memory."""
    sizes = map_bytes(frozen, [candidate.place for candidate in group])
    waiting = sorted(group, key=lambda candidate: candidate.place.name)
    while waiting:
        places: dict[str, Place] = {}
        room = memory * 2**20
        for candidate in waiting:
            name = candidate.place.name
            if name not in places and (not places or sizes[name] <= room):
                places[name] = candidate.place
                room -= sizes[name]
        maps = frozen.maps(list(places.values()))
        for candidate in waiting:
            if candidate.place.name in places:
                yield candidate, maps[candidate.place.name]
        waiting = [candidate for candidate in waiting if candidate.place.name not in places]


@torch.no_grad()
def map_bytes(frozen: FrozenDetector, places: Sequence[Place]) -> dict[str, int]:
    """Return how much memory the maps of each place and their gradients take, over all images."""
    shapes = frozen.shapes(places)
    each = {name: sum(8 * shape.numel() for shape in taps) for name, taps in shapes.items()}
    return {name: size * len(frozen.images) for name, size in each.items()}
