"""Adaptive fusion as rows: neighbouring levels brought to one size and summed by learned weights (AFPN)."""

import itertools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from models.blocks.convolution import convolution, numbers_at_most
from models.catalog.channel_rules import Call, Reads, Rule, Scale, once
from models.catalog.fusion_rules import how_many, written_channels
from models.catalog.registry import register_block


def _fusion(maps: int) -> Rule:
    """Return the rule of `[channels, level]` rows that read so many levels, finest first, and return one of them."""

    def rule(args: tuple[Any, ...], number: int, reads: Reads, scale: Scale) -> Call:
        channels, strides = reads.maps()
        once(number)
        how_many(channels, [maps])
        numbers_at_most(args, 2, "channels, level")
        level = args[1] if len(args) > 1 else 0
        if isinstance(level, bool) or not isinstance(level, int) or not 0 <= level < maps:
            raise ValueError(f"argument 2 (level) is {level!r}, expected 0 to {maps - 1}")
        known = [stride for stride in strides if stride is not None]
        if len(known) == maps and any(fine * 2 != coarse for fine, coarse in itertools.pairwise(known)):
            raise ValueError(f"reads maps of strides {', '.join(map(str, known))}, expected each twice the one before")
        written_channels(args, 0, "channels", channels[level], scale)
        return Call((channels, channels[level], level), channels[level], strides[level])

    return rule


class _Enlarge(nn.Module):
    """A transposed convolution that enlarges a map by its kernel."""

    def __init__(self, c1: int, c2: int, factor: int) -> None:
        super().__init__()
        self.cv1 = nn.ConvTranspose2d(c1, c2, factor, factor)

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge."""
        out: Tensor = self.cv1(x)
        return out


class Fusion(nn.Module):
    """Bring levels to the size and channels of one, weigh them at each position, sum and convolve.

    Args:
        channels: of the levels, finest first.
        c2: channels returned, those of the level.
        level: whose size and channels come out; 0 is the finest.

    Shape:
        input: list of (B, C_i, H / 2^i, W / 2^i); output (B, C_level, H / 2^level, W / 2^level).

    Source:
        Yang et al., AFPN, arXiv:2306.15988, eq. 1; authors' code gyyang23/AFPN, whose tensor names these are. Coarser
        levels are enlarged by transposed convolutions, as in copies for YOLO.
    """

    def __init__(self, channels: Sequence[int], c2: int, level: int = 0) -> None:
        super().__init__()
        self.level, self.levels = level, len(channels)
        for i, c in enumerate(channels):
            if i < level:
                factor = 2 ** (level - i)
                self.add_module(f"stride_level_{i}", convolution(c, c2, factor, factor, 0))
            elif i > level:
                self.add_module(f"stride_level_{i}", _Enlarge(c, c2, 2 ** (i - level)))
            self.add_module(f"weight_level_{i}", convolution(c2, 8))
        self.weights_levels = nn.Conv2d(8 * len(channels), len(channels), 1)
        self.conv = convolution(c2, c2, 3)

    def forward(self, x: Sequence[Tensor]) -> Tensor:
        """Fuse."""
        resized = [
            each if i == self.level else self.get_submodule(f"stride_level_{i}")(each) for i, each in enumerate(x)
        ]
        read = [self.get_submodule(f"weight_level_{i}")(each) for i, each in enumerate(resized)]
        weights = self.weights_levels(torch.cat(read, 1)).softmax(1)
        total = resized[0] * weights[:, :1]
        for i in range(1, self.levels):
            total = total + resized[i] * weights[:, i : i + 1]
        out: Tensor = self.conv(total)
        return out


@register_block(_fusion(2))
class ASFF2(Fusion):
    """Fuse two levels."""


@register_block(_fusion(3))
class ASFF3(Fusion):
    """Fuse three levels."""
