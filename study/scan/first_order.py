"""Score candidates as they start, by ∂loss/∂γ at γ = 0: nothing is trained, the detector runs once.

With the gate x + γ·(A(x) − x), that derivative is ⟨g, A(x) − x⟩: g is the gradient of the loss with respect to the
map. With random values a gate is about half of its map, so most of the change is one of scale, which the layers around
it can learn without any mechanism: each channel's fixed scale and shift are taken out, values are drawn anew several
times, and γ's sign is chosen on other images than those that score. A mechanism without a gate, because its authors
start it at the identity, changes nothing at first; it takes one small step of its own parameters instead.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn

from study.scan.candidates import Candidate
from study.scan.frozen_detector import Maps
from study.scan.record import Record, drawing, folds

BATCH = 8
STEP = 0.01  # length of the step of a mechanism without a gate
SMALL = 1e-6  # part of the map's size below which a change counts as none
PERCENT = 0.01  # scores are for a change of the map by a hundredth of its size


def score_as_started(candidate: Candidate, maps: Maps, draws: int, seed: int) -> Record:
    """Score one candidate with the values that it starts with.

    Args:
        candidate: it may be a control too.
        maps: of its place.
        draws: of its values.
        seed: of the scan.

    Returns:
        Record whose units are images.
    """
    count = len(maps[0][0])
    halves = folds(count, seed)
    freed = [(x, _freed(g, x)) for x, g in maps]
    units = np.zeros(count)
    for draw in range(draws):
        for number, (other, half) in enumerate(zip(reversed(halves), halves, strict=True)):
            with drawing(seed, candidate.name, draw, number):
                modules = candidate.build(identity=False)
                _settle(modules, maps, other)
            if starts_at_identity(modules):
                _step(modules, maps, other)
            sign = 1.0 if starts_at_identity(modules) else float(np.sign(_gains(modules, freed, other).sum())) or 1.0
            scale = sign * _unit(modules, maps, half)
            units[half] += scale * _gains(modules, freed, half) / draws
    return Record(units.tolist())


@torch.no_grad()
def _gains(modules: nn.ModuleList, maps: Maps, numbers: np.ndarray) -> np.ndarray:
    """Return −⟨g, A(x) − x⟩ of each image: how far its loss would fall for γ = 1, to first order."""
    total = np.zeros(len(numbers))
    for module, (x, g) in zip(modules, maps, strict=True):
        part = x[numbers]
        change = torch.cat([module(some) - some for some in part.split(BATCH)])
        total -= (g[numbers] * change).flatten(1).sum(1).double().numpy()
    return total


def starts_at_identity(modules: nn.ModuleList) -> bool:
    """Tell whether a mechanism's authors start it at the identity, so that it has no gate of ours."""
    return any(bool(getattr(module, "starts_at_identity", False)) for module in modules)


def _freed(values: Tensor, x: Tensor) -> Tensor:
    """Take each channel's fixed scale of x and its fixed shift out of values, by least squares.

    Args:
        values: (n, C, H, W).
        x: the same shape.
    """
    centred = x - x.mean((0, 2, 3), keepdim=True)
    values = values - values.mean((0, 2, 3), keepdim=True)
    power = centred.square().sum((0, 2, 3), keepdim=True)
    scale = (values * centred).sum((0, 2, 3), keepdim=True) / power.clamp_min(torch.finfo(x.dtype).tiny)
    return values - scale * centred


@torch.no_grad()
def _settle(modules: nn.ModuleList, maps: Maps, numbers: np.ndarray) -> None:
    """Let normalisations see the maps once; their statistics start at 0 and 1."""
    modules.train()
    for module, (x, _) in zip(modules, maps, strict=True):
        module(x[numbers[:BATCH]])
    modules.eval()


def _step(modules: nn.ModuleList, maps: Maps, numbers: np.ndarray) -> None:
    """Take one small step of a mechanism's own parameters against the loss, to first order."""
    parameters = [parameter for parameter in modules.parameters() if parameter.requires_grad]
    loss: Tensor = torch.zeros(())
    for module, (x, g) in zip(modules, maps, strict=True):
        loss = loss + (g[numbers] * module(x[numbers])).sum()
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
    length = math.sqrt(sum(float(gradient.square().sum()) for gradient in gradients if gradient is not None))
    with torch.no_grad():
        for parameter, gradient in zip(parameters, gradients, strict=True):
            if gradient is not None and length > 0:
                parameter.sub_(gradient, alpha=STEP / length)


@torch.no_grad()
def _unit(modules: nn.ModuleList, maps: Maps, numbers: np.ndarray) -> float:
    """Return the γ at which the maps change by a hundredth of their size; 0 where they do not change."""
    size = power = 0.0
    for module, (x, _) in zip(modules, maps, strict=True):
        part = x[numbers]
        change = torch.cat([module(some) - some for some in part.split(BATCH)])
        size += float(_freed(change, part).square().sum())
        power += float(part.square().sum())
    return PERCENT * math.sqrt(power / size) if size > SMALL**2 * power else 0.0
