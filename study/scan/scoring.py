"""Score a group of candidates by the scan's method, cross-fitted: each image by what was learned on the others."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from study.scan.candidates import Candidate, Place
from study.scan.first_order import score_as_started
from study.scan.frozen_detector import FrozenDetector
from study.scan.group_training import TOGETHER, changes, groups, losses, train_alone, train_group, units_of
from study.scan.kept_layers import KeptLayers
from study.scan.label_exchange import EXCHANGES, exchange_p, exchanged_labels
from study.scan.record import Record, folds

BY_ERROR = frozenset({"gradient"})  # methods whose scores have no scale in common between mechanisms

TRAINED_TOGETHER = frozenset({"frozen", "joint"})  # methods whose candidates take the same steps


def divided(candidates: Sequence[Candidate], method: str) -> list[list[Candidate]]:
    """Divide candidates into groups that are scored together.

    Args:
        candidates: all different.
        method: one of METHODS.
    """
    if method in TRAINED_TOGETHER:
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
    gains: dict[str, np.ndarray] = {candidate.name: np.zeros(1 + EXCHANGES) for candidate in group}
    halves = folds(len(frozen.images), seed)
    for draw in range(draws):
        scored: dict[str, list[np.ndarray]] = {candidate.name: [] for candidate in group}
        for number, (learned, held) in enumerate(zip(reversed(halves), halves, strict=True)):
            labels = exchanged_labels(held, seed, number) if exchanged else []
            label = (seed, method, draw, number)
            trained = _trained(frozen, group, method, learned, held, steps, label, labels, memory * 2**20)
            for name, scores, gained in trained:
                scored[name].append(scores)
                gains[name] = gains[name] + gained if exchanged else gains[name]
        for name, parts in scored.items():
            units[name].append(np.concatenate(parts))
    return {
        name: Record(np.mean(values, axis=0).tolist(), exchange_p(gains[name]) if exchanged else float("nan"))
        for name, values in units.items()
    }


def _trained(
    frozen: FrozenDetector,
    group: Sequence[Candidate],
    method: str,
    learned: np.ndarray,
    held: np.ndarray,
    steps: int,
    label: tuple[object, ...],
    labels: Sequence[Sequence[int]],
    memory: int,
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Train on some images, and yield each candidate's scores on others, and what it gains under exchanged labels."""
    units = units_of(held)
    if method == "halving":
        _, without = train_alone(frozen, None, learned, steps, *label)
        base, exchanged = losses(KeptLayers(without, units, 0), {}, labels)
        for candidate in group:
            trained, host = train_alone(frozen, candidate, learned, steps, *label)
            own, other = losses(KeptLayers(host, units, 0), trained, labels)
            yield candidate.name, base - own, exchanged - other
        return
    trained, host = train_group(frozen, group, learned, steps, *label, joint=method == "joint")
    layers = KeptLayers(host, units, memory)
    base, exchanged = losses(layers, {}, labels)
    for candidate, modules in trained.items():
        own, other = losses(layers, {candidate: modules}, labels)
        scores = changes(host, held, candidate, modules) if method == "joint" else base - own
        yield candidate.name, scores, exchanged - other


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
