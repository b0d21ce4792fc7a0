"""HorNet: recursive gated convolution, alone and in a cross stage partial block."""

import torch
from torch import Tensor, nn

from models.blocks.c3 import C3Branches
from models.blocks.convnext import one_of_same_width
from models.blocks.convolution import ChannelNorm
from models.catalog.channel_rules import scaled
from models.catalog.registry import register_block


@register_block(one_of_same_width)
class gnconv(nn.Module):
    """Recursive gated convolution: each order multiplies by a wider part of a depthwise convolution.

    Args:
        channels: C of input and output, a multiple of 2 to the power of order − 1.
        order: how many parts, each twice as wide as the one before.
        scale: of the depthwise convolution's output.

    Shape:
        input and output (B, C, H, W).

    Raises:
        ValueError: if the channels cannot be halved so often.

    Source:
        Rao et al., HorNet, NeurIPS 2022, arXiv:2207.14284, eqs. 3–6; depthwise 7 × 7.
    """

    def __init__(self, channels: int, order: int = 5, scale: float = 1.0) -> None:
        super().__init__()
        if channels % 2 ** (order - 1):
            raise ValueError(f"{channels} channels are no multiple of {2 ** (order - 1)}, which {order} orders need")
        self.dims = [channels // 2**i for i in reversed(range(order))]
        self.scale = scale
        inner = sum(self.dims)
        self.proj_in = nn.Conv2d(channels, 2 * channels, 1)
        self.dwconv = nn.Conv2d(inner, inner, 7, padding=3, groups=inner)
        self.proj_out = nn.Conv2d(channels, channels, 1)
        self.pws = nn.ModuleList(nn.Conv2d(self.dims[i], self.dims[i + 1], 1) for i in range(order - 1))

    def forward(self, x: Tensor) -> Tensor:
        """Gate, order by order."""
        # C / 2^(order − 1) + C · (2 − 1 / 2^(order − 1)) channels are 2C.
        gated, rest = self.proj_in(x).split((self.dims[0], sum(self.dims)), 1)
        gates = (self.dwconv(rest) * self.scale).split(self.dims, 1)
        gated = gated * gates[0]
        for widen, gate in zip(self.pws, gates[1:], strict=True):
            gated = widen(gated) * gate
        out: Tensor = self.proj_out(gated)
        return out


@register_block(one_of_same_width)
class HorBlock(nn.Module):
    """Recursive gated convolution, then an MLP of four times the width; each scaled and added.

    Args:
        channels: C of input and output, a multiple of 16.
        scale: initial value of the learned scales of both branches.

    Shape:
        input and output (B, C, H, W).

    Source:
        Rao et al., HorNet, NeurIPS 2022, arXiv:2207.14284, fig. 2. Branches are never dropped.
    """

    def __init__(self, channels: int, scale: float = 1e-6) -> None:
        super().__init__()
        self.norm1 = ChannelNorm(channels)
        self.gnconv = gnconv(channels)
        self.norm2 = nn.LayerNorm(channels, eps=1e-6)
        self.pwconv1 = nn.Linear(channels, 4 * channels)
        self.act = nn.GELU()
        self.pwconv2 = nn.Linear(4 * channels, channels)
        self.gamma1 = nn.Parameter(torch.full((channels,), scale))
        self.gamma2 = nn.Parameter(torch.full((channels,), scale))

    def forward(self, x: Tensor) -> Tensor:
        """Mix positions, then channels."""
        x = x + self.gamma1.view(-1, 1, 1) * self.gnconv(self.norm1(x))
        inner = self.norm2(x.permute(0, 2, 3, 1))  # (B, H, W, C)
        inner = self.gamma2 * self.pwconv2(self.act(self.pwconv1(inner)))
        return x + inner.permute(0, 3, 1, 2)


@register_block(scaled(repeats=True))
class C3HB(C3Branches):
    """C3 with HorNet blocks for bottlenecks.

    Args:
        c1, c2, e: as C3Branches.
        n: how many blocks.
        shortcut, g: ignored, as in the original.

    Source:
        Rao et al., arXiv:2207.14284, in the cross stage partial block of YOLOv5; published with YOLOAir.
    """

    def __init__(self, c1: int, c2: int, n: int = 1, shortcut: bool = True, g: int = 1, e: float = 0.5) -> None:
        super().__init__(c1, c2, e)
        self.m = nn.Sequential(*(HorBlock(self.hidden) for _ in range(n)))
