"""Blocks of light backbones against their definitions."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, max_pool2d

from models import SpecError, read_spec
from models.blocks.light import CBH, CBRM, MobileNetV3_InvertedResidual, Shuffle_Block, conv_bn_hswish, shuffled
from tests.models.blocks.rows import description
from tests.models.blocks.values import maps, normed, trained


def hard_swish(x: Tensor) -> Tensor:
    """x · clamp(x + 3, 0, 6) / 6."""
    return x * (x + 3).clamp(0, 6) / 6


def test_shuffling_interleaves_the_halves() -> None:
    assert shuffled(torch.arange(6.0).view(1, 6, 1, 1)).flatten().tolist() == [0, 3, 1, 4, 2, 5]


@pytest.mark.parametrize("stride", [1, 2])
def test_shuffle_block(stride: int) -> None:
    block = trained(Shuffle_Block(8, 8, stride))
    (x,) = maps(2, 8, 6, 6)
    first, norm, _, depthwise, norm_2, last, norm_3, _ = block.branch2
    y = normed(first(x if stride > 1 else x[:, 4:]), norm).clamp(min=0)
    y = normed(conv2d(y, depthwise.weight, stride=stride, padding=1, groups=4), norm_2)
    y = normed(last(y), norm_3).clamp(min=0)
    left = x[:, :4]
    if stride > 1:
        depthwise, norm, pointwise, norm_2, _ = block.branch1
        left = normed(conv2d(x, depthwise.weight, stride=2, padding=1, groups=8), norm)
        left = normed(pointwise(left), norm_2).clamp(min=0)
    expected = torch.stack([part for pair in zip(left.unbind(1), y.unbind(1), strict=True) for part in pair], 1)
    torch.testing.assert_close(block(x), expected)


def test_shuffle_block_of_other_channels() -> None:
    with pytest.raises(SpecError, match=r"row 2 .*from 32 to 48 channels with stride 1"):
        read_spec(description([-1, 1, "Shuffle_Block", [48, 1]]))


def test_stems() -> None:
    (x,) = maps(1, 3, 8, 8)
    block = trained(CBRM(3, 4))
    conv, norm, _ = block.conv
    y = normed(conv2d(x, conv.weight, stride=2, padding=1), norm).clamp(min=0)
    torch.testing.assert_close(block(x), max_pool2d(y, 3, 2, 1))
    for block in (trained(conv_bn_hswish(3, 4, 2)), trained(CBH(3, 4, 3, 2))):
        y = hard_swish(normed(conv2d(x, block.conv.weight, stride=2, padding=1), block.bn))
        torch.testing.assert_close(block(x), y)
        block.fuse()
        assert isinstance(block.bn, nn.Identity)
        torch.testing.assert_close(block(x), y)


def test_mobilenet_block() -> None:
    block = trained(MobileNetV3_InvertedResidual(8, 8, 16, 5, 1, 1, 1))
    (x,) = maps(2, 8, 6, 6)
    conv, norm, _, depthwise, norm_2, gate, _, project, norm_3 = block.conv
    y = hard_swish(normed(conv(x), norm))
    y = normed(conv2d(y, depthwise.weight, padding=2, groups=16), norm_2)
    squeezed = gate.Excitation.FC1(y.mean((2, 3), keepdim=True)).clamp(min=0)
    y = hard_swish(y * torch.sigmoid(gate.Excitation.FC2(squeezed)))
    torch.testing.assert_close(block(x), x + normed(project(y), norm_3))
    assert gate.Excitation.FC1.out_channels == 4
    # Without an expansion the activation comes before the gate.
    plain = trained(MobileNetV3_InvertedResidual(8, 4, 8, 3, 2, 0, 0))
    depthwise, norm, _, _, project, norm_2 = plain.conv
    y = normed(conv2d(x, depthwise.weight, stride=2, padding=1, groups=8), norm).clamp(min=0)
    torch.testing.assert_close(plain(x), normed(project(y), norm_2))
