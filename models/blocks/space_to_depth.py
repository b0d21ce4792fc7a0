"""Pixels into channels and back, without a loss: space-to-depth and its relatives."""

from fractions import Fraction
from typing import Any

import torch
from torch import Tensor, nn

from models.blocks.convolution import convolution, numbers_at_most
from models.catalog.channel_rules import Call, Reads, Scale, integer, scaled
from models.catalog.registry import register_block


def _space_to_depth(args: tuple[Any, ...], number: int, reads: Reads, scale: Scale) -> Call:
    """Read `[1]` rows: four times the channels, twice the stride."""
    channels, stride = reads.one()
    if args not in ((), (1,)) or number != 1:
        raise ValueError(f"arguments are {list(args)}, number {number}: expected [1] (channels) once")
    return Call((), 4 * channels, None if stride is None else 2 * stride)


def _contract(args: tuple[Any, ...], number: int, reads: Reads, scale: Scale) -> Call:
    """Read Contract rows `[gain]`."""
    channels, stride = reads.one()
    numbers_at_most(args, 1, "gain")
    gain = integer(args, 0, "gain", 2)
    if gain > 64 or number != 1:
        raise ValueError(f"gain {gain}, number {number}: expected a gain of at most 64, once")
    return Call((gain,), channels * gain**2, None if stride is None else stride * gain)


def _expand(args: tuple[Any, ...], number: int, reads: Reads, scale: Scale) -> Call:
    """Read Expand rows `[gain]`."""
    channels, stride = reads.one()
    numbers_at_most(args, 1, "gain")
    gain = integer(args, 0, "gain", 2)
    if channels % gain**2 or number != 1:
        raise ValueError(f"{channels} channels cannot be spread by a gain of {gain}: they are no multiple of {gain**2}")
    return Call((gain,), channels // gain**2, None if stride is None else stride * Fraction(1, gain))


@register_block(_space_to_depth, "space_to_depth")
class SPD(nn.Module):
    """Move each 2 × 2 square of pixels into channels.

    Shape:
        input (B, C, H, W), H and W even; output (B, 4C, H / 2, W / 2), by (row, column) parity (0, 0), (1, 0), (0, 1),
        (1, 1).

    Source:
        Sunkara and Luo, No More Strided Convolutions or Pooling, ECML 2022, arXiv:2208.03641, §3.1.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Rearrange."""
        parts = [x[..., row::2, column::2] for column in (0, 1) for row in (0, 1)]
        return torch.cat(parts, 1)


@register_block(scaled(factor=2))
class SPDConv(nn.Module):
    """Move each 2 × 2 square of pixels into channels, then convolve: a strided convolution that loses nothing.

    Args:
        c1: channels read.
        c2: channels returned.
        k: kernel.

    Shape:
        input (B, c1, H, W), H and W even; output (B, c2, H / 2, W / 2).

    Source:
        Sunkara and Luo, No More Strided Convolutions or Pooling, ECML 2022, arXiv:2208.03641, §3; a 3 × 3 convolution
        with normalisation and activation as in forks of YOLOv8.
    """

    def __init__(self, c1: int, c2: int, k: int = 3) -> None:
        super().__init__()
        self.conv = convolution(4 * c1, c2, k)

    def forward(self, x: Tensor) -> Tensor:
        """Rearrange and convolve."""
        parts = [x[..., row::2, column::2] for column in (0, 1) for row in (0, 1)]
        out: Tensor = self.conv(torch.cat(parts, 1))
        return out


@register_block(_contract)
class Contract(nn.Module):
    """Move squares of pixels into channels, ordered by row, column, then channel.

    Args:
        gain: side of the squares.

    Shape:
        input (B, C, H, W); output (B, C · gain², H / gain, W / gain).

    Source:
        Published with YOLOv5.
    """

    def __init__(self, gain: int = 2) -> None:
        super().__init__()
        self.gain = gain

    def forward(self, x: Tensor) -> Tensor:
        """Rearrange."""
        batch, c, h, w = x.shape
        s = self.gain
        squares = x.view(batch, c, h // s, s, w // s, s).permute(0, 3, 5, 1, 2, 4)
        return squares.reshape(batch, c * s * s, h // s, w // s)


@register_block(_expand)
class Expand(nn.Module):
    """Spread channels over squares of pixels: the inverse of Contract.

    Args:
        gain: side of the squares.

    Shape:
        input (B, C, H, W); output (B, C / gain², H · gain, W · gain).

    Source:
        Published with YOLOv5.
    """

    def __init__(self, gain: int = 2) -> None:
        super().__init__()
        self.gain = gain

    def forward(self, x: Tensor) -> Tensor:
        """Rearrange."""
        batch, c, h, w = x.shape
        s = self.gain
        squares = x.view(batch, s, s, c // s**2, h, w).permute(0, 3, 4, 1, 5, 2)
        return squares.reshape(batch, c // s**2, h * s, w * s)
