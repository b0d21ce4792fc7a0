"""Train candidates at many places at once in one detector, and score each alone on images that the steps did not see.

`frozen`: the detector is fixed, only the candidates' own parameters are trained; a candidate's score is how far the
loss of held-out images falls with it alone in the detector. `joint`: the detector learns too, gates pay for being open,
and the score is how far the candidate has come to change its map. Candidates start as the identity, so they do not
disturb each other at first; all of a group are trained together, two never at one map. `halving` trains a detector for
each candidate.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from attention import IdentityStart
from study.scan.candidates import Candidate
from study.scan.frozen_detector import FrozenDetector, joined
from study.scan.kept_layers import KeptLayers
from study.scan.label_exchange import exchanged_losses
from study.scan.record import drawing

RATE, DETECTOR_RATE = 0.02, 0.0005  # of Adam: candidates; the detector where it learns too
PENALTY = 0.001  # of |γ|, as a part of the loss at the start
NORM = 10.0  # to which gradients are clipped
TOGETHER = 48  # candidates in one detector
UNIT = 4  # images whose loss is one unit

Trained = dict[Candidate, nn.ModuleList]


def groups(candidates: Iterable[Candidate], most: int = TOGETHER) -> list[list[Candidate]]:
    """Divide candidates into groups of which no two touch the same map.

    Args:
        candidates: in the order in which they are dealt.
        most: candidates in a group.
    """
    found: list[list[Candidate]] = []
    for candidate in candidates:
        taps = set(candidate.place.taps)
        for group in found:
            if len(group) < most and not any(taps & set(other.place.taps) for other in group):
                group.append(candidate)
                break
        else:
            found.append([candidate])
    return found


def train_group(
    frozen: FrozenDetector, group: Sequence[Candidate], numbers: np.ndarray, steps: int, *label: object, joint: bool
) -> tuple[Trained, FrozenDetector]:
    """Train candidates together.

    Args:
        frozen: the detector and its images.
        group: candidates at different maps.
        numbers: of the images that are looked at.
        steps: of Adam, a batch each.
        label: what the draws are for.
        joint: whether a copy of the detector learns too, and gates pay.

    Returns:
        The trained modules, and the detector that belongs to them.
    """
    names = sorted(candidate.name for candidate in group)
    trained: Trained = {}
    for candidate in group:
        with drawing(*label, candidate.name):
            trained[candidate] = candidate.build(identity=True).train()
    host = frozen.copy(learning=True) if joint else frozen
    sets = [{"params": [p for modules in trained.values() for p in modules.parameters()], "lr": RATE}]
    if joint:
        sets.append({"params": list(host.model.parameters()), "lr": DETECTOR_RATE})
    optimize(host, trained, numbers, steps, sets, *label, *names, penalty=PENALTY if joint else 0.0)
    return trained, host


def optimize(
    host: FrozenDetector,
    trained: Trained,
    numbers: np.ndarray,
    steps: int,
    sets: list[dict[str, object]],
    *label: object,
    penalty: float = 0.0,
) -> None:
    """Take steps of Adam on parameters while modules stand in a detector."""
    parameters = [p for some in sets for p in some["params"] if p.requires_grad]  # type: ignore[attr-defined]
    if not parameters:
        return
    optimizer = torch.optim.Adam(sets)
    order: list[int] = []
    price = 0.0
    with drawing("steps", *label), host.holding({c.place: modules for c, modules in trained.items()}):
        for step in range(steps):
            if len(order) < min(host.batch, len(numbers)):
                order = numbers[torch.randperm(len(numbers)).numpy()].tolist()
            chosen, order = order[: host.batch], order[host.batch :]
            loss = host.loss(chosen)
            price = price if step else penalty * float(loss.detach())
            if penalty:
                loss = loss + price * sum(gate.abs() for gate in gates(trained.values()))
            if not torch.isfinite(loss):
                break
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, NORM)
            optimizer.step()
    for modules in trained.values():
        modules.eval()


def gates(many: Iterable[nn.ModuleList]) -> list[Tensor]:
    """Return the γ of all modules that have one."""
    return [module.gamma for modules in many for module in modules if isinstance(module, IdentityStart)]


@torch.no_grad()
def losses(
    layers: KeptLayers, placed: Mapping[Candidate, nn.ModuleList], labels: Sequence[Sequence[int]] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """Return losses with modules in the detector: the mean of every batch, and of all under exchanges of labels.

    Args:
        layers: the detector, and the batches.
        placed: what stands in it.
        labels: from `exchanged_labels`.
    """
    host = layers.host
    modules = {candidate.place: modules for candidate, modules in placed.items()}
    with host.holding(modules):
        maps = layers.raw_maps(modules)
    units = [float(host.loss_of(outputs, numbers)) for outputs, numbers in zip(maps, layers.batches, strict=True)]
    return np.array(units), exchanged_losses(host, joined(maps), labels)


def units_of(numbers: np.ndarray) -> list[list[int]]:
    """Divide images into units, the batches whose losses are scored."""
    return [numbers[start : start + UNIT].tolist() for start in range(0, len(numbers), UNIT)]


@torch.no_grad()
def changes(host: FrozenDetector, numbers: np.ndarray, candidate: Candidate, modules: nn.ModuleList) -> np.ndarray:
    """Return how much of each map a candidate changes, as a part of the map's size, for every few images."""
    found: list[float] = []
    watched = nn.ModuleList(_Watch(module) for module in modules)
    with host.holding({candidate.place: watched}):
        for unit in units_of(numbers):
            host.loss(unit)
            found.append(sum(watch.part for watch in watched) / len(watched))  # type: ignore[misc,arg-type]
    return np.array(found)


class _Watch(nn.Module):
    """Applies a module and keeps the size of its change.

    Args:
        module: keeps the shape.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module, self.part = module, 0.0

    def forward(self, x: Tensor) -> Tensor:
        """Apply it to x (B, C, H, W)."""
        y: Tensor = self.module(x)
        self.part = float((y - x).norm() / x.norm().clamp_min(1e-12))
        return y


def train_alone(
    frozen: FrozenDetector, candidate: Candidate | None, numbers: np.ndarray, steps: int, *label: object
) -> tuple[Trained, FrozenDetector]:
    """Train a copy of the detector with one candidate in it, or with none.

    Args:
        frozen: the detector and its images.
        candidate: None for the baseline, which sees the same batches.
        numbers: of the images that are looked at.
        steps: of Adam.
        label: what the draws are for; the same for candidate and baseline.
    """
    trained: Trained = {}
    if candidate is not None:
        with drawing(*label, candidate.name):
            trained[candidate] = candidate.build(identity=True).train()
    host = frozen.copy(learning=True)
    own = [p for modules in trained.values() for p in modules.parameters()]
    sets: list[dict[str, object]] = [{"params": list(host.model.parameters()), "lr": DETECTOR_RATE}]
    if own:
        sets.append({"params": own, "lr": RATE})
    optimize(host, trained, numbers, steps, sets, *label)
    return trained, host
