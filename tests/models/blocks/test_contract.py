"""What every block of forks must hold: its rule is what it does, and it trains, fuses, copies and exports."""

import copy
import io
import random
import re
import warnings
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from models.errors import SpecError
from models.network.detector import Detector
from models.spec.model_spec import read_spec
from tests.models.blocks.rows import DEFORMABLE, ROWS, description

IMAGE = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))


def detector(row: list[Any], **more: Any) -> Detector:
    """Return a detector with the row, and normalisations that matter."""
    made = Detector(read_spec({**description(row), **more}))
    generator = torch.Generator().manual_seed(0)
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean = 0.1 * torch.randn(module.num_features, generator=generator)
            module.running_var = 0.5 + torch.rand(module.num_features, generator=generator)
    return made.eval()


def output(module: nn.Module, row: list[Any]) -> Tensor:
    """Return what row 2 makes of the image."""
    with torch.no_grad():
        first: Tensor = module.model[0](IMAGE)  # type: ignore[index,operator]
        second: Tensor = module.model[1](first)  # type: ignore[index,operator]
        maps = [first, second]
        read: Any = [maps[i] for i in row[0]] if isinstance(row[0], list) else second
        made: Tensor = module.model[2](read)  # type: ignore[index,operator]
    return made


@pytest.mark.parametrize("name", ROWS)
def test_rule_says_what_comes_out(name: str) -> None:
    row, channels, stride = ROWS[name]
    made = detector(row)
    layer = made.spec.layer("2")
    assert (layer.channels, layer.stride) == (channels, stride)
    assert output(made, row).shape == (1, channels, 64 / stride, 96 / stride)


@pytest.mark.parametrize("name", ROWS)
def test_trains(name: str) -> None:
    made = detector(ROWS[name][0]).train()
    torch.stack([level.square().mean() for level in made(IMAGE)]).sum().backward()
    without = [key for key, p in made.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())]
    assert without == []


@pytest.mark.parametrize("name", ROWS)
def test_fused_and_copied_it_computes_the_same(name: str) -> None:
    row = ROWS[name][0]
    made = detector(row)
    expected = output(made, row)
    torch.testing.assert_close(output(copy.deepcopy(made), row), expected, rtol=0, atol=0)
    fused = copy.deepcopy(made).fuse()
    torch.testing.assert_close(output(fused, row), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ROWS)
def test_state_dict_restores_it(name: str) -> None:
    row = ROWS[name][0]
    made, other = detector(row), Detector(read_spec(description(row)), seed=1).eval()
    other.load_state_dict(made.state_dict())
    torch.testing.assert_close(output(other, row), output(made, row), rtol=0, atol=0)


class Flat(nn.Module):
    """The detector with one output, as exporters want it."""

    def __init__(self, made: Detector) -> None:
        super().__init__()
        self.made = made

    def forward(self, x: Tensor) -> Tensor:
        """Return the decoded boxes."""
        y: Tensor = self.made(x)[0]
        return y


@pytest.mark.parametrize("name", ROWS)
def test_exports(name: str) -> None:
    flat = Flat(detector(ROWS[name][0]).fuse())
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tracing and of the older exporter
        expected = flat(IMAGE)
        traced = torch.jit.trace(flat, IMAGE)
        torch.testing.assert_close(traced(IMAGE), expected)
        if name in DEFORMABLE:
            return
        file = io.BytesIO()
        torch.onnx.export(flat, (IMAGE,), file, opset_version=17, input_names=["x"], dynamo=False)
    session = onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(None, {"x": IMAGE.numpy()})[0], expected.numpy(), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", ROWS)
def test_attention_stands_after_it_and_starts_as_the_identity(name: str) -> None:
    row, channels, _ = ROWS[name]
    plain = detector(row)
    attended = detector(row, attention=[{"module": "SE", "at": 2, "identity": True}])
    assert attended.spec.layer("2+SE").channels == channels
    with torch.no_grad():
        torch.testing.assert_close(attended(IMAGE)[0], plain(IMAGE)[0], rtol=0, atol=0)


# Blocks with an inside → where attention goes after their output and in each of their units.
INSIDE = {
    "BiFPN_Add2": (["conv"], ["conv"]),
    "Concat_bifpn": (["conv"], ["conv"]),
    "SPDConv": (["conv"], ["conv"]),
    "VoVGSCSP": (["cv3"], ["cv3"]),
    "MBConv": (["blocks.1.block.8"], ["blocks.0.block.8", "blocks.1.block.8"]),
    "FusedMBConv": (["blocks.1.block.4"], ["blocks.0.block.4", "blocks.1.block.4"]),
    "CNeB": (["cv3"], ["cv3"]),
    "C3HB": (["cv3"], ["cv3"]),
    "C3C2": (["cv1"], ["m.0.cv2", "m.1.cv2"]),
    "BottleneckCSPF": (["cv4"], ["m.0.cv2", "m.1.cv2"]),
    "BottleneckCSP2": (["cv3"], ["m.0.cv2", "m.1.cv2"]),
    "SPPCSP": (["cv7"], ["cv7"]),
    "MobileNetV3_InvertedResidual": (["conv.8"], ["conv.8"]),
    "Yolov7_Tiny_E_ELAN": (["conv5"], ["conv5"]),
    "Yolov7_Tiny_SPP": (["conv4"], ["conv4"]),
    "CSPStage": (["conv3"], ["conv3"]),
    "nn.Conv2d": ([""], [""]),
}


@pytest.mark.parametrize("name", INSIDE)
def test_attention_goes_inside_and_starts_as_the_identity(name: str) -> None:
    row = ROWS[name][0]
    plain = detector(row)
    for where, places in zip(("last", "each"), INSIDE[name], strict=True):
        attended = detector(row, attention=[{"module": "SE", "inside": 2, "where": where, "identity": True}])
        expected = [f"model.2.{place}.attention".replace("..", ".") for place in places]
        assert attended.attention_names() == expected
        assert set(plain.state_dict()) <= set(attended.state_dict())
        with torch.no_grad():
            torch.testing.assert_close(attended(IMAGE)[0], plain(IMAGE)[0], rtol=0, atol=0)
            torch.testing.assert_close(attended.fuse()(IMAGE)[0], plain(IMAGE)[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["GSConv", "GSBottleneck", "Shuffle_Block"])
def test_blocks_whose_output_no_convolution_makes_alone(name: str) -> None:
    with pytest.raises(SpecError, match="joined from branches, so no convolution makes it alone; use at"):
        detector(ROWS[name][0], attention=[{"module": "SE", "inside": 2}])


# What a hand might write in place of an argument.
STRAY = [0, -1, 1, 2, 3, 7, 16, 48, 64, 70_000, 1e9, 1.5, "a", "nn.SiLU()", None, True, [], [1, 2], {"a": 1}]


def test_wrong_arguments_end_in_one_line() -> None:
    chosen = random.Random(0)
    messages = []
    for number in range(600):
        row = ROWS[chosen.choice(sorted(ROWS))][0]
        some = [chosen.choice(STRAY) if chosen.random() < 0.4 else arg for arg in row[3]]
        args = some if chosen.random() < 0.6 else [chosen.choice(STRAY) for _ in range(chosen.randint(0, 6))]
        sources = chosen.choice([row[0], row[0], -1, [-1, 0], [-1]])
        stray = [sources, chosen.choice([1, 1, 2]), row[2], args]
        try:
            spec = read_spec(description(stray))
            if number % 3 == 0:
                Detector(spec)
        except SpecError as error:
            messages.append(str(error))
    assert len(messages) > 200
    assert not [text for text in messages if "\n" in text]
    where = "row 2 |row 4 .*check kernels and paddings|layers do not fit one another"
    assert not [text for text in messages if not re.search(where, text)]
