"""ConvNeXt's block against its definition."""

import torch
from torch import Tensor, nn

from models.blocks.convnext import CNeB, ConvNextBlock
from tests.models.blocks.values import layer_normed, linear, maps, trained


def gelu(x: Tensor) -> Tensor:
    """x · Φ(x)."""
    return x * 0.5 * (1 + torch.erf(x / 2**0.5))


def test_block() -> None:
    block = trained(ConvNextBlock(6))
    (x,) = maps(2, 6, 5, 7)
    y = nn.functional.conv2d(x, block.dwconv.weight, block.dwconv.bias, padding=3, groups=6)
    y = linear(gelu(linear(layer_normed(y, block.norm), block.pwconv1)), block.pwconv2)
    torch.testing.assert_close(block(x), x + block.gamma.view(-1, 1, 1) * y)


def test_branch_starts_small() -> None:
    assert ConvNextBlock(4).gamma.tolist() == [torch.tensor(1e-6).item()] * 4


def test_csp() -> None:
    block = trained(CNeB(6, 8, 2))
    (x,) = maps(1, 6, 5, 5)
    inner = block.m[1](block.m[0](block.cv1(x)))
    torch.testing.assert_close(block(x), block.cv3(torch.cat((inner, block.cv2(x)), 1)))
