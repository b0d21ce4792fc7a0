"""Raw maps from kept layers are those of the whole detector."""

from pathlib import Path

import pytest
import torch
from torch import nn

from models import Detector, load_model, read_spec
from study.scan.candidates import Candidate, expand
from study.scan.frozen_detector import FrozenDetector
from study.scan.kept_layers import KeptLayers

IMAGES = torch.rand(6, 3, 64, 64, generator=torch.Generator().manual_seed(0))
TARGETS = [torch.tensor([[0.0, 0.5, 0.5, 0.4, 0.4]])] * 6
BATCHES = [[0, 1, 2, 3], [4, 5]]


@pytest.fixture(scope="module")
def frozen(root: Path) -> FrozenDetector:
    return FrozenDetector(load_model(root / "weights" / "yolov5n-digits.pt"), IMAGES, TARGETS)


def candidate(frozen: FrozenDetector, text: str, place: str) -> Candidate:
    return expand(frozen.model, [text], [place], "test")[0][0]


@pytest.mark.parametrize("memory", [0, 1, 1 << 30])
@pytest.mark.parametrize("place", ["0", "17", "inside:4", "inside/last:13", "between:4,16", "between:6,7", "23"])
def test_maps_are_those_of_the_whole_detector(frozen: FrozenDetector, place: str, memory: int) -> None:
    layers = KeptLayers(frozen, BATCHES, memory)
    assert len(layers.kept) == {0: 0, 1: 1}.get(memory, 2)
    held = candidate(frozen, "SimAM", place)
    modules = {held.place: held.build(identity=False)}
    for _ in range(2):
        with torch.no_grad(), frozen.holding(modules):
            expected = [frozen.outputs(numbers) for numbers in BATCHES]
            found = layers.raw_maps(modules)
        assert all(torch.equal(a, b) for x, y in zip(found, expected, strict=True) for a, b in zip(x, y, strict=True))


@pytest.mark.parametrize(
    ("cfg", "place"), [("yolov7-tiny", "20"), ("ultralytics/yolo26n", "neck.P3"), ("ultralytics/yolov10n", "neck.P3")]
)
def test_other_families(cfg: str, place: str) -> None:
    frozen = FrozenDetector(Detector(read_spec(cfg, nc=2), seed=1), IMAGES, TARGETS)
    layers = KeptLayers(frozen, BATCHES, 1 << 30)
    held = candidate(frozen, "SimAM", place)
    modules = {held.place: held.build(identity=False)}
    with torch.no_grad(), frozen.holding(modules):
        expected = [float(frozen.loss(numbers)) for numbers in BATCHES]
        maps = layers.raw_maps(modules)
    assert len(layers.kept) == 2
    assert [float(frozen.loss_of(x, n)) for x, n in zip(maps, BATCHES, strict=True)] == expected


def test_what_a_module_has_spoilt_is_not_used_again(frozen: FrozenDetector) -> None:
    layers = KeptLayers(frozen, BATCHES, 1 << 30)
    held = candidate(frozen, "SimAM", "between:4,16")
    with torch.no_grad(), frozen.holding({held.place: nn.ModuleList([_Spoils()])}):
        layers.raw_maps([held.place])
    assert not layers.kept
    with torch.no_grad():
        expected = frozen.outputs(BATCHES[0])
    assert all(torch.equal(a, b) for a, b in zip(layers.raw_maps()[0], expected, strict=True))


def test_a_layer_that_writes_into_its_input_keeps_nothing(tmp_path: Path) -> None:
    rows = "[[-1, 1, Conv, [8, 3, 2]], [-1, 1, nn.ReLU, [True]], [-1, 1, Conv, [8, 3, 2]]]"
    file = tmp_path / "m.yaml"
    file.write_text(f"nc: 2\nanchors: [[10, 10]]\nbackbone: {rows}\nhead: [[[2], 1, Detect, [nc, anchors]]]\n")
    frozen = FrozenDetector(Detector(read_spec(str(file), nc=2), seed=1), IMAGES, TARGETS)
    assert not KeptLayers(frozen, BATCHES, 1 << 30).kept


class _Spoils(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mul_(2)
