"""Measure what candidates cost: parameters, and the time that they take on their own maps."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from statistics import median

import torch

from models.network.cost import count_parameters
from study.scan.candidates import Candidate
from study.scan.frozen_detector import FrozenDetector
from study.scan.record import drawing


@dataclass(frozen=True)
class ModuleCost:
    """Cost of one candidate.

    Attributes:
        parameters: of it, its gate included.
        milliseconds: on the maps of one image, median over rounds.
    """

    parameters: int
    milliseconds: float


def measure(frozen: FrozenDetector, candidates: Sequence[Candidate], rounds: int) -> dict[str, ModuleCost]:
    """Measure candidates; each round times every one of them once, in an order drawn anew.

    Args:
        frozen: the detector, for the sizes of its maps.
        candidates: to measure.
        rounds: number of times.

    Returns:
        Candidate's name → cost.
    """
    shapes = frozen.shapes(list({candidate.place.name: candidate.place for candidate in candidates}.values()))
    times: dict[str, list[float]] = {candidate.name: [] for candidate in candidates}
    built = {}
    for candidate in candidates:
        with drawing("cost", candidate.name):
            built[candidate.name] = candidate.build(identity=True).eval()
    order, random = list(candidates), Random(0)  # noqa: S311 - an order, no secret
    with torch.inference_mode():
        for number in range(rounds + 1):
            random.shuffle(order)
            for candidate in order:
                maps = [torch.rand(1, *shape) for shape in shapes[candidate.place.name]]
                started = time.perf_counter()
                for module, x in zip(built[candidate.name], maps, strict=True):
                    module(x)
                if number:  # the first one warms up
                    times[candidate.name].append(1000 * (time.perf_counter() - started))
    return {name: ModuleCost(count_parameters(modules), median(times[name])) for name, modules in built.items()}
