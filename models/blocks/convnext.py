"""ConvNeXt blocks, alone and in a cross stage partial block."""

from typing import Any

import torch
from torch import Tensor, nn

from models.blocks.c3 import C3Branches
from models.blocks.convolution import numbers_at_most
from models.catalog.channel_rules import Call, Reads, Scale, integer, scaled
from models.catalog.registry import register_block


def one_of_same_width(args: tuple[Any, ...], number: int, reads: Reads, scale: Scale) -> Call:
    """Read `[channels]` rows of a block that keeps them; forks make one block whatever the row's number says."""
    channels, stride = reads.one()
    numbers_at_most(args, 1, "channels")
    if args and channels not in (integer(args, 0, "channels"), scale.channels(args[0])):
        raise ValueError(
            f"argument 1 (channels) is {args[0]}, {scale.channels(args[0])} after scaling, but the block keeps the "
            f"{channels} channels that it reads: put a Conv before it"
        )
    return Call((channels,), channels, stride)


@register_block(one_of_same_width, "ConvNeXtBlock")
class ConvNextBlock(nn.Module):
    """Depthwise 7 × 7, normalisation, and an MLP of four times the width, scaled and added to the input.

    Args:
        channels: C of input and output.
        scale: initial value of the learned scale of the branch.

    Shape:
        input and output (B, C, H, W).

    Source:
        Liu et al., A ConvNet for the 2020s, CVPR 2022, arXiv:2201.03545, fig. 4. Branches are never dropped.
    """

    def __init__(self, channels: int, scale: float = 1e-6) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.pwconv1 = nn.Linear(channels, 4 * channels)
        self.act = nn.GELU()
        self.pwconv2 = nn.Linear(4 * channels, channels)
        self.gamma = nn.Parameter(torch.full((channels,), scale))

    def forward(self, x: Tensor) -> Tensor:
        """Convolve, and add."""
        inner = self.norm(self.dwconv(x).permute(0, 2, 3, 1))  # (B, H, W, C)
        inner = self.gamma * self.pwconv2(self.act(self.pwconv1(inner)))
        added: Tensor = x + inner.permute(0, 3, 1, 2)
        return added


@register_block(scaled(repeats=True))
class CNeB(C3Branches):
    """C3 with ConvNeXt blocks for bottlenecks.

    Args:
        c1, c2, e: as C3Branches.
        n: how many blocks.
        shortcut, g: ignored, as in the original.

    Source:
        Liu et al., arXiv:2201.03545, in the cross stage partial block of YOLOv5; published with YOLOAir.
    """

    def __init__(self, c1: int, c2: int, n: int = 1, shortcut: bool = True, g: int = 1, e: float = 0.5) -> None:
        super().__init__(c1, c2, e)
        self.m = nn.Sequential(*(ConvNextBlock(self.hidden) for _ in range(n)))
