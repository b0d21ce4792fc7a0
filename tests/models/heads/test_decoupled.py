"""Decoupled heads against their definitions."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from models.heads.decoupled import (
    ImplicitDecoupledHead,
    SplitHead,
    StemDecoupledHead,
    TaperedDecoupledHead,
    WideDecoupledHead,
)
from tests.models.blocks.values import maps, trained

ANCHORS = [[10, 13, 16, 30, 33, 23], [30, 61, 62, 45, 59, 119]]
CHANNELS, STRIDES, NC = [8, 16], [8, 16], 2
HEADS = [WideDecoupledHead, TaperedDecoupledHead, StemDecoupledHead, ImplicitDecoupledHead]


def head(cls: type[SplitHead], values: bool = True) -> Any:
    """Return a head of two levels, its tensors random."""
    made = cls(NC, ANCHORS, CHANNELS, STRIDES)
    if not values:
        return made
    kept = made.anchor_wh.clone().double()
    trained(made).anchor_wh.copy_(kept)
    return made.train()


def read() -> list[Tensor]:
    return [*maps(2, 8, 4, 6), *maps(2, 16, 2, 3)]


def by_anchor(part: Tensor) -> Tensor:
    """Cut (B, k · 3, H, W) into (B, 3, H, W, k)."""
    return part.unflatten(1, (3, -1)).permute(0, 1, 3, 4, 2)


def test_stem_and_implicit() -> None:
    for cls in (StemDecoupledHead, ImplicitDecoupledHead):
        made = head(cls).eval()
        for level, (x, out) in enumerate(zip(read(), made.raw(read()), strict=True)):
            x = made.m_stem[level](x)
            inner = made.m_reg_conf[level](x)
            read_by = {"reg": inner, "conf": inner, "cls": x}
            outputs = []
            for kind, conv in (("reg", made.m_reg), ("conf", made.m_conf), ("cls", made.m_cls)):
                y = read_by[kind]
                if cls is ImplicitDecoupledHead:
                    y = y + getattr(made, f"ia_{kind}")[level].implicit
                y = conv[level](y)
                if cls is ImplicitDecoupledHead:
                    y = y * getattr(made, f"im_{kind}")[level].implicit
                outputs.append(by_anchor(y))
            torch.testing.assert_close(out, torch.cat(outputs, -1))


def test_tapered() -> None:
    made = head(TaperedDecoupledHead).eval()
    for level, (x, out) in enumerate(zip(read(), made.raw(read()), strict=True)):
        branches = made.m[level]
        x = branches.a(x)
        boxes = branches.b3(branches.b2(branches.b1(x)))
        classes = branches.c3(branches.c2(branches.c1(x)))
        torch.testing.assert_close(out, torch.cat((by_anchor(boxes), by_anchor(classes)), -1))
    # Of 256 channels, 241 above the 15 outputs: two thirds and one third of them are left.
    wide = TaperedDecoupledHead(80, [[1, 2, 3, 4, 5, 6]], [512])
    assert [conv.conv.out_channels for conv in (wide.m[0].a, wide.m[0].b1, wide.m[0].b2)] == [256, 175, 95]  # type: ignore[union-attr]


def test_wide_joins_before_it_cuts_by_anchor() -> None:
    made = head(WideDecoupledHead).eval()
    for level, (x, out) in enumerate(zip(read(), made.raw(read()), strict=True)):
        branches = made.m[level]
        x = branches.merge(x)
        inner = branches.reg_convs2(branches.reg_convs1(x))
        classes = branches.cls_preds(branches.cls_convs2(branches.cls_convs1(x)))
        flat = [*branches.reg_preds(inner).unbind(1), *branches.obj_preds(inner).unbind(1), *classes.unbind(1)]
        assert len(flat) == 3 * 7
        for anchor in range(3):
            for k in range(7):
                torch.testing.assert_close(out[:, anchor, :, :, k], flat[7 * anchor + k])


@pytest.mark.parametrize("cls", HEADS)
def test_priors_reach_the_outputs(cls: type[SplitHead]) -> None:
    made: Any = head(cls, values=False)
    for name, parameter in made.named_parameters():
        if "implicit" in name:
            parameter.data.fill_(1.0 if name.startswith("im_") else 0.0)
        elif not name.endswith("bias") or "bn" in name:
            parameter.data.zero_()  # only what the biases say is left
    for level in range(2):
        for conv in made.predictors(level):
            conv.bias.data.zero_()  # construction has added the priors already
    made.bias_init()
    offset = 0.99 if cls is ImplicitDecoupledHead else 0.99999
    for stride, out in zip(STRIDES, made.eval().raw([x.float() for x in read()]), strict=True):
        assert not out[..., :4].any()
        torch.testing.assert_close(out[..., 4], torch.full_like(out[..., 4], math.log(8 / (640 / stride) ** 2)))
        torch.testing.assert_close(out[..., 5:], torch.full_like(out[..., 5:], math.log(0.6 / (NC - offset))))


@pytest.mark.parametrize("cls", HEADS)
def test_boxes_of_a_cell(cls: type[SplitHead]) -> None:
    made = head(cls).eval()
    y, raw = made(read())
    p = raw[1][0, 2, 1, 2].sigmoid()  # level 1, anchor 2, row 1, column 2
    box = y[0, :, 3 * 4 * 6 + 2 * 2 * 3 + 1 * 3 + 2].double()
    expected = [(2 * p[0] - 0.5 + 2) * 16, (2 * p[1] - 0.5 + 1) * 16, (2 * p[2]) ** 2 * 59, (2 * p[3]) ** 2 * 119]
    torch.testing.assert_close(box[:4], torch.stack(expected).double(), rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(box[4:], (p[5:] * p[4]).double(), rtol=1e-5, atol=1e-5)
