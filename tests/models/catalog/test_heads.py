"""Heads and blocks of forks as plugins, with the signatures that they have there."""

import warnings
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from models import SpecError, build_model, read_spec, reparameterize
from models.catalog.heads import HEADS, meant
from models.catalog.mechanisms import load_plugin
from models.catalog.registry import BLOCKS
from models.heads.decoupled import StemDecoupledHead

# As a fork of YOLOv5 has it, decoding included; only the decorator and the imports are new.
HEAD = """
import torch
from torch import nn
from models import register_head

@register_head({names})
class Pasted_Detect(nn.Module):
    stride = None
    export = False

    def __init__(self, nc=80, anchors=(), ch=(), inplace=True):
        super().__init__()
        self.nc, self.no, self.nl, self.na = nc, nc + 5, len(anchors), len(anchors[0]) // 2
        self.grid = [torch.zeros(1)] * self.nl
        self.register_buffer('anchors', torch.tensor(anchors).float().view(self.nl, -1, 2))
        self.stem = nn.ModuleList(nn.Sequential(nn.Conv2d(x, x, 1), nn.BatchNorm2d(x)) for x in ch)
        self.m = nn.ModuleList(nn.Conv2d(x, self.no * self.na, 1) for x in ch)
        self.inplace = inplace

    def forward(self, x):
        for i in range(self.nl):
            x[i] = self.m[i](self.stem[i](x[i]))
            bs, _, ny, nx = x[i].shape
            x[i] = x[i].view(bs, self.na, self.no, ny, nx).permute(0, 1, 3, 4, 2).contiguous()
        if not self.training:
            raise RuntimeError("decoding needs a grid of the fork's")
        return x
"""
BLOCK = """
import torch
from torch import nn
from models import register_block, scaled
from ultralytics.nn.modules.block import C3

@register_block(scaled(repeats=True))
class {name}(nn.Module):
    def __init__(self, c1, c2, n=1, shortcut=True, g=1, e=0.5):
        super().__init__()
        self.f = C3(c1, c2, n, shortcut, g, e)
        self.gate = nn.Conv2d(c2, 1, 1)

    def forward(self, x):
        y = self.f(x)
        return y * torch.sigmoid(self.gate(y))
"""


@pytest.fixture
def registered() -> Iterator[None]:
    """Forget what a test registers."""
    before = dict(HEADS._entries), dict(HEADS._aliases), dict(BLOCKS._entries)
    yield
    HEADS._entries, HEADS._aliases, BLOCKS._entries = before


def plugin(folder: Path, text: str) -> tuple[str, ...]:
    path = folder / "pasted.py"
    path.write_text(text)
    return load_plugin(path)


def test_head_of_a_fork(registered: None, small: dict[str, Any], tmp_path: Path) -> None:
    assert plugin(tmp_path, HEAD.format(names="")) == ("Pasted_Detect",)
    small["head"][-1][2] = "Pasted_Detect"
    detector = build_model(small).eval()
    head: Any = detector.model[-1]
    names = {key for key in detector.state_dict() if key.startswith("model.13.")}
    assert {"model.13.m.0.weight", "model.13.stem.1.0.weight", "model.13.anchor_wh"} <= names
    assert "model.13.anchors" not in names
    assert head.stride.tolist() == [8, 16]
    image = torch.rand(2, 3, 64, 96)
    decoded, raw = detector(image)
    # Decoded as YOLOv5's own head decodes: cell (y, x) = (1, 2) of level 0, anchor 1.
    p = raw[0][0, 1, 1, 2].sigmoid()
    box = decoded[0, :, 8 * 12 + 1 * 12 + 2]
    expected = torch.stack(
        [(2 * p[0] - 0.5 + 2) * 8, (2 * p[1] - 0.5 + 1) * 8, (2 * p[2]) ** 2 * 16, (2 * p[3]) ** 2 * 30]
    )
    torch.testing.assert_close(box[:4], expected)
    torch.testing.assert_close(box[4:], p[5:] * p[4])
    copied = deepcopy(detector)
    copied.fuse()
    torch.testing.assert_close(copied(image)[0], decoded, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(reparameterize(detector)(image)[0], decoded, rtol=1e-4, atol=1e-4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tracing
        traced = torch.jit.trace(detector, image, strict=False)
    torch.testing.assert_close(traced(image)[0], decoded)


def test_head_of_a_fork_trains_moves_and_is_copied_as_one(
    registered: None, small: dict[str, Any], tmp_path: Path
) -> None:
    plugin(tmp_path, HEAD.format(names="'Mine_Detect', 'Other_Detect'"))
    small["head"][-1][2] = "Other_Detect"
    detector = build_model(small).train()
    batch = {
        "img": torch.rand(2, 3, 64, 96),
        "batch_idx": torch.tensor([0.0, 1.0]),
        "cls": torch.tensor([0.0, 2.0]),
        "bboxes": torch.tensor([[0.5, 0.5, 0.3, 0.3], [0.4, 0.4, 0.2, 0.3]]),
    }
    loss, _ = detector.loss(batch)
    loss.backward()
    assert all(parameter.grad is not None for parameter in detector.parameters())
    copied = deepcopy(detector).double()
    head: Any = copied.model[-1]
    (inner,) = head.head
    assert inner.m[0].weight is head.m[0].weight
    assert inner.m[0].weight is not detector.model[-1].m[0].weight  # type: ignore[union-attr,index]
    assert copied(batch["img"].double())[0].dtype == torch.float64
    detector.eval()
    assert not head.head[0].stem[0][1].training or head.training


def test_checkpoint_of_a_pasted_head(registered: None, small: dict[str, Any], tmp_path: Path) -> None:
    plugin(tmp_path, HEAD.format(names=""))
    small["head"][-1][2] = "Pasted_Detect"
    one, other = build_model(small, seed=0).eval(), build_model(small, seed=1).eval()
    other.load_state_dict(one.state_dict())
    image = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(other(image)[0], one(image)[0], rtol=0, atol=0)


def test_a_head_that_returns_something_else(registered: None, small: dict[str, Any], tmp_path: Path) -> None:
    plugin(tmp_path, HEAD.format(names="").replace("return x\n", "return x[0]\n"))
    small["head"][-1][2] = "Pasted_Detect"
    with pytest.raises(
        SpecError, match=r"row 13 .*Pasted_Detect returns .* in training, expected 2 maps \(B, 2, H, W, 8\)"
    ):
        build_model(small)


FREE = """
import torch
from torch import nn
from models import register_head
from ultralytics.nn.modules.head import Detect

@register_head(anchors=False)
class Free_Detect(Detect):
    pass

@register_head(anchors=False)
class Old_Detect(nn.Module):  # as ultralytics had it up to 8.3
    def __init__(self, nc=80, ch=()):
        super().__init__()
        self.nc, self.nl, self.reg_max = nc, len(ch), 16
        self.no = nc + 64
        self.cv2 = nn.ModuleList(nn.Conv2d(x, 64, 1) for x in ch)
        self.cv3 = nn.ModuleList(nn.Conv2d(x, nc, 1) for x in ch)

    def forward(self, x):
        for i in range(self.nl):
            x[i] = torch.cat((self.cv2[i](x[i]), self.cv3[i](x[i])), 1)
        return x

    def bias_init(self):
        for conv, stride in zip(self.cv3, self.stride):
            conv.bias.data[:] = -float(stride)
"""


def test_heads_free_of_anchors(registered: None, small: dict[str, Any], tmp_path: Path) -> None:
    assert plugin(tmp_path, FREE) == ("Free_Detect", "Old_Detect")
    del small["anchors"]
    for name in ("Free_Detect", "Old_Detect"):
        small["head"][-1] = [[9, 12], 1, name, ["nc"]]
        detector = build_model(small).eval()
        y, raw = detector(torch.rand(1, 3, 64, 64))
        assert y.shape == (1, 7, 64 + 16)
        torch.testing.assert_close(y[:, 4:], raw["scores"].sigmoid())
        batch = {"img": torch.rand(1, 3, 64, 64), "batch_idx": torch.zeros(1), "cls": torch.zeros(1)}
        detector.args = SimpleNamespace(box=7.5, cls=0.5, dfl=1.5)  # a trainer's
        loss, _ = detector.train().loss({**batch, "bboxes": torch.tensor([[0.5, 0.5, 0.4, 0.4]])})
        loss.sum().backward()
        assert detector.model[-1].cv2 is not None
    assert detector.model[-1].cv3[1].bias.tolist() == [-16.0] * 3  # type: ignore[union-attr,index]
    small["head"][-1][3] = ["nc", "anchors"]
    with pytest.raises(SpecError, match=r"row 13 .*names 'anchors', but the file has no anchors"):
        read_spec(small)


def test_block_of_a_fork(registered: None, small: dict[str, Any], tmp_path: Path) -> None:
    assert plugin(tmp_path, BLOCK.format(name="C3Pasted")) == ("C3Pasted",)
    small["backbone"][4] = [-1, 2, "C3Pasted", [24]]
    small["attention"] = [{"module": "SE", "at": 4, "identity": True}]
    detector = build_model(small).eval()
    assert detector.spec.layer("4").channels == 24
    assert "model.4.f.m.1.cv1.conv.weight" in detector.state_dict()
    assert detector(torch.rand(1, 3, 64, 64))[0].shape[1] == 7


def test_names_are_taken_once(registered: None, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="head 'Detect' is registered already"):
        plugin(tmp_path, HEAD.format(names="'Detect'"))


def test_tensors_show_which_head_a_word_means() -> None:
    tensors = set(StemDecoupledHead(2, [[1, 2]], [8]).state_dict())
    assert meant("Decoupled_Detect", tensors) == "Decoupled_Detect_v7"
    assert meant("Decoupled_Detect", {"m.0.merge.conv.weight"}) == "Decoupled_Detect"
    assert meant("ASFF_Detect", {"asffs.0.weight_levels.weight"}) == "ASFF_Detect_v3"
    assert meant("Detect", {"m_stem.0.conv.weight"}) == "Detect"
