"""HorNet's blocks against their definitions."""

import pytest
import torch
from torch import nn

from models.blocks.hornet import C3HB, HorBlock, gnconv
from tests.models.blocks.test_convnext import gelu
from tests.models.blocks.values import layer_normed, linear, maps, trained


def test_recursive_gated_convolution() -> None:
    block = trained(gnconv(8, order=3, scale=0.5))
    (x,) = maps(2, 8, 5, 7)
    y = linear(x, type("Layer", (), {"weight": block.proj_in.weight[:, :, 0, 0], "bias": block.proj_in.bias}))
    # Widths 2, 4, 8: two channels are gated, fourteen make the gates.
    gates = 0.5 * nn.functional.conv2d(y[:, 2:], block.dwconv.weight, block.dwconv.bias, padding=3, groups=14)
    out = y[:, :2] * gates[:, :2]
    out = block.pws[0](out) * gates[:, 2:6]
    out = block.pws[1](out) * gates[:, 6:]
    torch.testing.assert_close(block(x), block.proj_out(out))


def test_block() -> None:
    block = trained(HorBlock(16))
    (x,) = maps(2, 16, 5, 7)
    y = x + block.gamma1.view(-1, 1, 1) * block.gnconv(layer_normed(x, block.norm1))
    inner = linear(gelu(linear(layer_normed(y, block.norm2), block.pwconv1)), block.pwconv2)
    torch.testing.assert_close(block(x), y + block.gamma2.view(-1, 1, 1) * inner)


def test_csp() -> None:
    block = trained(C3HB(8, 32, 2))
    (x,) = maps(1, 8, 5, 5)
    inner = block.m[1](block.m[0](block.cv1(x)))
    torch.testing.assert_close(block(x), block.cv3(torch.cat((inner, block.cv2(x)), 1)))


def test_channels_that_cannot_be_halved_so_often() -> None:
    with pytest.raises(ValueError, match="24 channels are no multiple of 16, which 5 orders need"):
        gnconv(24)
