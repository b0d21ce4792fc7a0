"""Candidates held in a frozen detector: where they stand, and what gradients say."""

from pathlib import Path

import numpy as np
import pytest
import torch

from models import Detector, load_model, read_spec
from study.scan.candidates import Candidate, expand
from study.scan.frozen_detector import FrozenDetector
from study.scan.group_training import train_alone, train_group

TARGETS = [torch.tensor([[0.0, 0.5, 0.5, 0.4, 0.4]]), torch.tensor([[1.0, 0.3, 0.6, 0.3, 0.5]])] * 2


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def frozen(images: torch.Tensor, root: Path) -> FrozenDetector:
    return FrozenDetector(load_model(root / "weights" / "yolov5n-digits.pt"), images, TARGETS)


def candidate(frozen: FrozenDetector, mechanism: str, place: str) -> Candidate:
    (found,), left_out = expand(frozen.model, [mechanism], [place], "test")
    assert not left_out
    return found


@pytest.mark.parametrize("place", ["17", "4", "inside:4", "inside/last:13", "between:4,16", "between:6,7"])
def test_a_held_candidate_is_the_placed_one(frozen: FrozenDetector, images: torch.Tensor, place: str) -> None:
    held = candidate(frozen, "SimAM", place)
    placed = Detector(read_spec("yolov5n", [held.name], nc=10), seed=5)
    missing, left = placed.load_state_dict(frozen.model.state_dict(), strict=False)
    assert not missing
    assert not left
    placed.eval().model[-1].training = True
    with torch.no_grad():
        plain = frozen.model(images)
        with frozen.holding({held.place: held.build(identity=False)}):
            changed = frozen.model(images)
        expected = placed(images)
    assert all(torch.equal(a, b) for a, b in zip(changed, expected, strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(changed, plain, strict=True))


def test_gradients_say_what_a_small_change_of_a_map_does(frozen: FrozenDetector) -> None:
    for name in ("9", "between:4,16", "inside:6"):
        place = candidate(frozen, "SE", name).place
        maps = frozen.maps([place])[place.name]
        # Along the gradient, by a thousandth of the map's size.
        size = sum(float(x.square().sum()) for x, _ in maps) ** 0.5
        steep = sum(float(g.square().sum()) for _, g in maps) ** 0.5
        losses = []
        for part in (1e-3, -1e-3):
            moved = torch.nn.ModuleList(_Shift(part * size / steep * g) for _, g in maps)
            with torch.no_grad(), frozen.holding({place: moved}):
                losses.append(float(frozen.loss(list(range(4)))))
        # The loss holds the overlap that objectness is to say for fixed, which a real change does not.
        assert (losses[0] - losses[1]) * 4 == pytest.approx(2e-3 * size * steep, rel=0.2)


class _Shift(torch.nn.Module):
    def __init__(self, by: torch.Tensor) -> None:
        super().__init__()
        self.by = by

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.by


def test_places(frozen: FrozenDetector) -> None:
    found, _ = expand(frozen.model, ["SE"], ["rows", "insides", "connections"], "test")
    names = [entry.place.name for entry in found]
    assert names[:3] == ["0", "1", "2"]
    assert "24" not in names  # the head
    assert {"between:4,5", "between:4,16", "between:6,12", "between:10,22", "between:14,15"} <= set(names)
    assert "between:0,1" not in names  # the only reader: the place after row 0
    three = next(entry.place for entry in found if entry.place.name == "inside:4")
    assert [tap.channels for tap in three.taps] == [32, 32]  # two bottlenecks


def test_training_leaves_the_detector_as_it_was(frozen: FrozenDetector) -> None:
    before = {name: tensor.clone() for name, tensor in frozen.model.state_dict().items()}
    group = [candidate(frozen, "SE", "4"), candidate(frozen, "PlainConv", "17")]
    trained, host = train_group(frozen, group, np.arange(4), 1, "test", joint=False)
    assert host is frozen
    assert all(modules[0].gamma.item() != 0 for modules in trained.values())
    _, other = train_alone(frozen, group[0], np.arange(4), 1, "test")
    _, joint = train_group(frozen, group, np.arange(4), 1, "test", joint=True)
    assert all(torch.equal(before[name], tensor) for name, tensor in frozen.model.state_dict().items())
    for host in (other, joint):
        assert any(not torch.equal(before[name], tensor) for name, tensor in host.model.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in frozen.model.modules())
