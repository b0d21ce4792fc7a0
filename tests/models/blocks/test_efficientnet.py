"""Inverted bottlenecks against their definition."""

import torch
from torch import Tensor, nn

from models.blocks.efficientnet import FusedMBConv, MBConv
from tests.models.blocks.values import maps, normed, trained


def silu(x: Tensor) -> Tensor:
    """x · σ(x)."""
    return x * torch.sigmoid(x)


def test_mbconv() -> None:
    stage = trained(MBConv(8, 8, 2, 1, 4))
    (x,) = maps(2, 8, 5, 5)
    expected = x
    for block in stage.blocks:
        conv1, norm1, _, depthwise, norm2, _, gate, project, norm3 = block.block
        y = silu(normed(conv1(expected), norm1))
        y = silu(normed(nn.functional.conv2d(y, depthwise.weight, padding=1, groups=32), norm2))
        squeezed = silu(gate.fc[0](y.mean((2, 3), keepdim=True)))
        y = y * ((gate.fc[2](squeezed) + 3) / 6).clamp(0, 1)
        expected = expected + normed(project(y), norm3)
        assert gate.fc[0].out_channels == 2  # a quarter of the channels that the block reads
    torch.testing.assert_close(stage(x), expected)


def test_fused_mbconv() -> None:
    stage = trained(FusedMBConv(4, 6, 1, 2, 3))
    (x,) = maps(2, 4, 6, 6)
    conv, norm, _, project, norm2 = stage.blocks[0].block
    y = silu(normed(nn.functional.conv2d(x, conv.weight, stride=2, padding=1), norm))
    torch.testing.assert_close(stage(x), normed(project(y), norm2))


def test_without_expansion() -> None:
    assert [type(layer) for layer in FusedMBConv(4, 4, 1, 1, 1).blocks[0].block] == [
        nn.Conv2d,
        nn.BatchNorm2d,
        nn.SiLU,
    ]
    assert MBConv(4, 4, 1, 1, 1).blocks[0].block[0].groups == 4
    (x,) = maps(1, 4, 4, 4)
    stage = trained(FusedMBConv(4, 4, 1, 1, 1))
    conv, norm, _ = stage.blocks[0].block
    torch.testing.assert_close(stage(x), x + silu(normed(conv(x), norm)))


def test_the_first_block_strides_and_only_equal_shapes_are_added() -> None:
    stage = MBConv(4, 6, 3, 2)
    assert [block.adds for block in stage.blocks] == [False, True, True]
    assert [block.block[3].stride for block in stage.blocks] == [(2, 2), (1, 1), (1, 1)]
