"""Channel rules: what a row of a model YAML means for its layer. Pure functions, no torch.

A rule gets the row's literal arguments, its (already depth-scaled) number, what the layer reads and the model's
scale; it returns how to
construct the layer and what comes out of it. Rules raise ValueError; the caller adds file and row.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from models.errors import short

Stride = Fraction | None  # pixels of the image a step; None where only running the layer tells

UPSAMPLING_MODES = ("nearest", "bilinear", "bicubic", "area", "nearest-exact")
MAX_CHANNELS = 65_536  # far above any detector in use; keeps a typo from asking for terabytes


@dataclass(frozen=True)
class Scale:
    """Compound scaling of a family file; `letter` decides a few details of ultralytics' blocks."""

    depth: float = 1.0
    width: float = 1.0
    max_channels: float = math.inf
    letter: str = ""

    def channels(self, channels: int) -> int:
        """Return a row's channels after width scaling, rounded up to a multiple of 8.

        Raises:
            ValueError: if there are more than 65,536.
        """
        scaled_channels = math.ceil(min(channels, self.max_channels) * self.width / 8) * 8
        if scaled_channels > MAX_CHANNELS:
            raise ValueError(f"{channels} channels are {scaled_channels} after scaling, more than {MAX_CHANNELS}")
        return scaled_channels

    def repeats(self, number: int) -> int:
        """Return a row's number after depth scaling, at least 1."""
        return max(round(number * self.depth), 1) if number > 1 else number


@dataclass(frozen=True)
class Reads:
    """What a layer reads: channels and strides of its inputs, in order."""

    channels: tuple[int | tuple[int, ...], ...]
    strides: tuple[Stride, ...]
    is_list: bool  # `from` was a list, so the layer is called with a list of maps

    def one(self) -> tuple[int, Stride]:
        """Return channels and stride of the only input.

        Raises:
            ValueError: if there are several, or the one is a list of maps.
        """
        if self.is_list or len(self.channels) != 1:
            raise ValueError(f"reads one map, but 'from' lists {len(self.channels)}: write a single integer")
        channels = self.channels[0]
        if not isinstance(channels, int):
            raise ValueError("reads one map, but the layer before it returns a list of maps")
        return channels, self.strides[0]

    def maps(self) -> tuple[tuple[int, ...], tuple[Stride, ...]]:
        """Return channels and strides of all inputs, each a single map.

        Raises:
            ValueError: if `from` is no list or an input is a list of maps.
        """
        if not self.is_list:
            raise ValueError("reads several maps: write 'from' as a list, such as [-1, 6]")
        if not all(isinstance(channels, int) for channels in self.channels):
            raise ValueError("reads maps, but one of its inputs is a list of maps")
        return tuple(int(c) for c in self.channels), self.strides  # type: ignore[arg-type]


@dataclass(frozen=True)
class Call:
    """How to construct a layer, and what it returns.

    Attributes:
        args: positional constructor arguments.
        channels: of the output; a tuple where the layer returns a list of maps.
        stride: of the output.
        repeats: how many copies stand in a row (1 where the block repeats inside itself).
    """

    args: tuple[Any, ...]
    channels: int | tuple[int, ...]
    stride: Stride
    repeats: int = 1


Rule = Callable[[tuple[Any, ...], int, Reads, Scale], Call]


def integer(args: Sequence[Any], index: int, what: str, default: int | None = None) -> int:
    """Return args[index] as a positive integer.

    Raises:
        ValueError: if it is missing without a default, no integer, or outside 1 … 65,536.
    """
    if index >= len(args) and default is not None:
        return default
    value = args[index] if index < len(args) else None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_CHANNELS:
        raise ValueError(
            f"argument {index + 1} ({what}) is {short(value)}, expected an integer from 1 to {MAX_CHANNELS}"
        )
    return value


def scaled(*, stride_at: int | None = None, factor: Fraction | int = 1, repeats: bool = False) -> Rule:
    """Return the rule of convolution-like layers `[c2, …]`: c1 is inferred, c2 scaled by the width.

    Args:
        stride_at: index in the row's arguments of the stride (1 when left out).
        factor: stride of a layer that has no such argument.
        repeats: whether the number becomes the third constructor argument instead of copies in a row.
    """

    def rule(args: tuple[Any, ...], number: int, reads: Reads, scale: Scale) -> Call:
        c1, stride = reads.one()
        c2 = scale.channels(integer(args, 0, "channels"))
        step = integer(args, stride_at, "stride", 1) if stride_at is not None else factor
        if stride_at == 2 and len(args) > 1 and isinstance(args[1], int):
            integer(args, 1, "kernel")
        out = None if stride is None else stride * step
        if repeats:
            return Call((c1, c2, number, *args[1:]), c2, out)
        if number > 1 and (c1 != c2 or step != 1):
            # Copies in a row must fit on one another; only the first may change channels or stride.
            raise ValueError(f"number {number} repeats a layer from {c1} to {c2} channels with stride {step}: write 1")
        return Call((c1, c2, *args[1:]), c2, out, number)

    return rule


def upsampling(*, size_at: int, scale_at: int) -> Rule:
    """Return the rule of layers that enlarge a map by a factor and keep its channels, such as nn.Upsample."""

    def rule(args: tuple[Any, ...], number: int, reads: Reads, scale: Scale) -> Call:
        channels, stride = reads.one()
        size = args[size_at] if size_at < len(args) else None
        if size is not None:
            raise ValueError(
                f"a fixed output size ({short(size)}) ties the model to one image size: write [None, 2, 'nearest']"
            )
        factor = args[scale_at] if scale_at < len(args) else None
        if isinstance(factor, bool) or not isinstance(factor, int | float) or not 0 < factor <= 64:
            raise ValueError(f"scale factor is {short(factor)}, expected a number such as 2")
        mode = args[scale_at + 1] if scale_at + 1 < len(args) else "nearest"
        if mode not in UPSAMPLING_MODES:
            raise ValueError(f"mode is {short(mode)}, expected one of {', '.join(UPSAMPLING_MODES)}")
        step = 1 / Fraction(factor).limit_denominator(64)
        return Call(args, channels, _after(stride, step, number), number)

    return rule


def pooling(args: tuple[Any, ...], number: int, reads: Reads, scale: Scale) -> Call:
    """Read nn.MaxPool2d and nn.AvgPool2d rows `[kernel, stride, padding]`."""
    channels, stride = reads.one()
    kernel = integer(args, 0, "kernel size")
    step = integer(args, 1, "stride", kernel)
    return Call(args, channels, _after(stride, step, number), number)


def keep(args: tuple[Any, ...], number: int, reads: Reads, scale: Scale) -> Call:
    """Read rows of layers that change neither channels nor size, and take no channels."""
    channels, stride = reads.one()
    return Call(args, channels, stride, number)


def once(number: int) -> None:
    """Refuse repetition of a layer that reads several maps and returns one.

    Raises:
        ValueError: if number is not 1.
    """
    if number != 1:
        raise ValueError(f"number is {number}, but a layer that reads several maps cannot be repeated: write 1")


def _after(stride: Stride, step: Fraction | int, number: int) -> Stride:
    """Return the stride after `number` copies in a row that each multiply it by `step`."""
    if stride is None:
        return None
    if number > 20 and step != 1:
        raise ValueError(f"number {number} repeats a layer that changes the size of the map")
    return stride * step**number


def same_stride(strides: Sequence[Stride]) -> Stride:
    """Return the stride that all maps share.

    Raises:
        ValueError: naming the strides, if they differ.
    """
    known = {stride for stride in strides if stride is not None}
    if len(known) > 1:
        listed = ", ".join(str(stride) for stride in strides)
        raise ValueError(f"joins maps of different strides ({listed}): a reference looks shifted")
    return known.pop() if known else None


def concat(args: tuple[Any, ...], number: int, reads: Reads, scale: Scale) -> Call:
    """Read Concat rows `[[-1, 6], 1, Concat, [1]]`: channels add up, strides must agree."""
    channels, strides = reads.maps()
    if args not in ((), (1,)):
        raise ValueError(f"joins along {short(list(args))}, expected [1] (channels)")
    once(number)
    return Call(args, sum(channels), same_stride(strides))


def add(args: tuple[Any, ...], number: int, reads: Reads, scale: Scale) -> Call:
    """Read rows of layers that sum maps: channels and strides must agree."""
    channels, strides = reads.maps()
    once(number)
    if len(set(channels)) > 1:
        raise ValueError(f"sums maps of {', '.join(map(str, channels))} channels, expected equal numbers")
    return Call(args, channels[0], same_stride(strides))
