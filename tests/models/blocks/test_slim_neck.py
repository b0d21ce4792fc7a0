"""Slim-neck's blocks against their definitions."""

import torch
from torch import Tensor, nn

from models.blocks.slim_neck import GSBottleneck, GSBottleneckC, GSConv, VoVGSCSP, VoVGSCSPC
from tests.models.blocks.values import maps, normed, trained


def mish(x: Tensor) -> Tensor:
    """x · tanh(ln(1 + eˣ))."""
    return x * torch.tanh(torch.log1p(torch.exp(x)))


def test_gsconv_puts_even_channels_before_odd_ones() -> None:
    block = trained(GSConv(6, 8, 3, 2))
    (x,) = maps(2, 6, 6, 8)
    first = mish(normed(block.cv1.conv(x), block.cv1.bn))
    second = mish(normed(block.cv2.conv(first), block.cv2.bn))
    both = [*first.unbind(1), *second.unbind(1)]
    expected = torch.stack([both[i] for i in (0, 2, 4, 6, 1, 3, 5, 7)], 1)
    torch.testing.assert_close(block(x), expected)
    assert block.cv2.conv.weight.shape == (4, 1, 5, 5)


def test_gsconv_takes_another_activation() -> None:
    assert isinstance(GSConv(4, 4, act=nn.ReLU()).cv2.act, nn.ReLU)
    assert isinstance(GSConv(4, 4, act=False).cv1.act, nn.Identity)


def test_bottlenecks_add_a_convolution_of_the_input() -> None:
    (x,) = maps(1, 8, 5, 5)
    block = trained(GSBottleneck(8, 12))
    lit = block.conv_lighting[1](block.conv_lighting[0](x))
    torch.testing.assert_close(block(x), lit + normed(block.shortcut.conv(x), block.shortcut.bn))
    assert block.shortcut.conv.weight.shape == (12, 8, 1, 1)
    cheap = trained(GSBottleneckC(8, 8))
    assert cheap.shortcut.conv.weight.shape == (8, 1, 3, 3)
    assert cheap(x).shape == x.shape


def test_csp_joins_the_bypass_first() -> None:
    (x,) = maps(1, 8, 5, 5)
    for block in (trained(VoVGSCSP(8, 16, 2)), trained(VoVGSCSPC(8, 16, 2))):
        joined = torch.cat((block.cv2(x), block.gsb(block.cv1(x))), 1)
        torch.testing.assert_close(block(x), mish(normed(block.cv3.conv(joined), block.cv3.bn)))
    assert len(VoVGSCSP(8, 16, 2).gsb) == 2  # type: ignore[arg-type]
    assert "gsb.conv_lighting.0.cv1.conv.weight" in VoVGSCSPC(8, 16, 2).state_dict()
