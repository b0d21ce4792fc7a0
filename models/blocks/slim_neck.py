"""Slim-neck: convolutions of which half the channels come from a depthwise one, shuffled together."""

from typing import Any

import torch
from torch import Tensor, nn

from models.blocks.convolution import convolution, numbers_at_most
from models.catalog.channel_rules import Call, Reads, Scale, scaled
from models.catalog.registry import register_block

_CONV = scaled(stride_at=2)


def _even_conv(args: tuple[Any, ...], number: int, reads: Reads, scale: Scale) -> Call:
    """Read GSConv rows `[c2, kernel, stride, groups, act]`."""
    numbers_at_most(args, 5, "channels, kernel, stride, groups, act")
    return _CONV(args, number, reads, scale)


def _activation(act: bool | nn.Module) -> bool | nn.Module:
    """Return Mish where a layer is to be activated: the authors' choice, whatever the model's activation is."""
    return nn.Mish() if act is True else act


@register_block(_even_conv)
class GSConv(nn.Module):
    """Convolve to half the channels, convolve those depthwise 5 × 5, and shuffle both halves together.

    Args:
        c1: channels read.
        c2: channels returned, even.
        k: kernel of the first convolution.
        s: its stride.
        g: its groups.
        act: Mish (True), none (False), or a module.

    Shape:
        input (B, c1, H, W); output (B, c2, H / s, W / s): even channels of both halves, then odd ones.

    Source:
        Li et al., Slim-neck by GSConv, arXiv:2206.02424; authors' code AlanLi1997/slim-neck-by-gsconv. Copies in forks
        that use YOLO's own convolution have SiLU there: give act where it matters.
    """

    def __init__(self, c1: int, c2: int, k: int = 1, s: int = 1, g: int = 1, act: bool | nn.Module = True) -> None:
        super().__init__()
        if c2 % 2:
            raise ValueError(f"returns {c2} channels, expected an even number")
        half, act = c2 // 2, _activation(act)
        self.cv1 = convolution(c1, half, k, s, None, g, act)
        self.cv2 = convolution(half, half, 5, 1, None, half, act)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve and shuffle."""
        first = self.cv1(x)
        both = torch.cat((first, self.cv2(first)), 1)
        return torch.cat((both[:, ::2], both[:, 1::2]), 1)


@register_block(scaled())
class GSBottleneck(nn.Module):
    """Two GSConvs, 1 × 1 and 3 × 3, beside a 1 × 1 convolution.

    Args:
        c1: channels read.
        c2: channels returned.
        k: ignored, as in the original.
        s: ignored, as in the original.
        e: width between the GSConvs over c2.

    Shape:
        input (B, c1, H, W); output (B, c2, H, W).

    Source:
        Li et al., arXiv:2206.02424, fig. 3; authors' code AlanLi1997/slim-neck-by-gsconv.
    """

    def __init__(self, c1: int, c2: int, k: int = 3, s: int = 1, e: float = 0.5) -> None:
        super().__init__()
        hidden = int(c2 * e)
        self.conv_lighting = nn.Sequential(GSConv(c1, hidden, 1, 1), GSConv(hidden, c2, 3, 1, act=False))
        self.shortcut = self._shortcut(c1, c2, k, s)

    def _shortcut(self, c1: int, c2: int, k: int, s: int) -> nn.Module:
        return convolution(c1, c2, act=False)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve both ways and add."""
        total: Tensor = self.conv_lighting(x) + self.shortcut(x)
        return total


@register_block(scaled())
class GSBottleneckC(GSBottleneck):
    """GSBottleneck with a depthwise convolution of kernel k for the shortcut: the cheap form."""

    def _shortcut(self, c1: int, c2: int, k: int, s: int) -> nn.Module:
        from models.upstream.layers import conv

        depthwise: nn.Module = conv.DWConv(c1, c2, k, s, act=False)
        return depthwise


@register_block(scaled(repeats=True))
class VoVGSCSP(nn.Module):
    """A bypass beside GSBottlenecks, joined (cross stage partial).

    Args:
        c1: channels read.
        c2: channels returned.
        n: how many bottlenecks.
        shortcut, g: ignored, as in the original.
        e: width of the branches over c2.

    Shape:
        input (B, c1, H, W); output (B, c2, H, W).

    Source:
        Li et al., arXiv:2206.02424, fig. 3; authors' code AlanLi1997/slim-neck-by-gsconv, whose convolution `res` has
        weights, but nothing runs it.
    """

    def __init__(self, c1: int, c2: int, n: int = 1, shortcut: bool = True, g: int = 1, e: float = 0.5) -> None:
        super().__init__()
        hidden = int(c2 * e)
        mish = nn.Mish()
        self.cv1 = convolution(c1, hidden, act=mish)
        self.cv2 = convolution(c1, hidden, act=mish)
        self.gsb = self._middle(hidden, n)
        self.res = convolution(hidden, hidden, 3, act=False).requires_grad_(False)
        self.cv3 = convolution(2 * hidden, c2, act=mish)

    def _middle(self, hidden: int, n: int) -> nn.Module:
        return nn.Sequential(*(GSBottleneck(hidden, hidden, e=1.0) for _ in range(n)))

    def forward(self, x: Tensor) -> Tensor:
        """Run both branches and join them, the bypass first."""
        out: Tensor = self.cv3(torch.cat((self.cv2(x), self.gsb(self.cv1(x))), 1))
        return out


@register_block(scaled(repeats=True))
class VoVGSCSPC(VoVGSCSP):
    """VoVGSCSP with one bottleneck of the cheap form, whatever n is."""

    def _middle(self, hidden: int, n: int) -> nn.Module:
        return GSBottleneckC(hidden, hidden, 1, 1)
