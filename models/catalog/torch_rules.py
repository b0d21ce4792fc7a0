"""Channel rules of torch.nn's layers, whose arguments YAMLs write in two ways: with and without the channels read."""

from fractions import Fraction
from typing import Any

from models.catalog.channel_rules import Call, Reads, Rule, Scale, Stride, integer

_LARGEST_KERNEL = 31  # a larger second argument is a number of channels


def _channels_and_rest(args: tuple[Any, ...], channels: int, scale: Scale) -> tuple[int, tuple[Any, ...]]:
    """Split `[c2, kernel, …]`, where c2 is scaled, or `[c1, c2, kernel, …]`, torch's own order, where nothing is.

    The second form is what YOLOv5 hands on unchanged for layers that it does not scale.

    Returns:
        c2, and the arguments from the kernel on.

    Raises:
        ValueError: if c1 is written and is not what the layer reads.
    """
    first = integer(args, 0, "channels")
    second = args[1] if len(args) > 2 else None
    if isinstance(second, bool) or not isinstance(second, int) or second <= _LARGEST_KERNEL:
        return scale.channels(first), args[1:]
    if first != channels:
        raise ValueError(f"argument 1 (channels read) is {first}, but the map has {channels}: write [c2, kernel, …]")
    return integer(args, 1, "channels"), args[2:]


def convolution(args: tuple[Any, ...], number: int, reads: Reads, scale: Scale) -> Call:
    """Read nn.Conv2d rows `[c2, kernel, stride, padding, dilation, groups, bias]` or, unscaled, `[c1, c2, …]`."""
    c1, stride = reads.one()
    c2, rest = _channels_and_rest(args, c1, scale)
    step = integer(rest, 1, "stride", 1)
    if number > 1 and (c1 != c2 or step != 1):
        raise ValueError(f"number {number} repeats a layer from {c1} to {c2} channels with stride {step}: write 1")
    return Call((c1, c2, *rest), c2, _times(stride, step), number)


def transposed_convolution(args: tuple[Any, ...], number: int, reads: Reads, scale: Scale) -> Call:
    """Read nn.ConvTranspose2d rows `[c2, kernel, stride, padding, output padding, groups]` or `[c1, c2, …]`.

    Groups are scaled with the channels, as in YOLOv5, unless there is one.
    """
    c1, stride = reads.one()
    c2, rest = _channels_and_rest(args, c1, scale)
    groups = integer(rest, 4, "groups", 1)
    if groups > 1 and len(rest) == len(args) - 1:  # the scaled form
        groups = scale.channels(groups)
        rest = (*rest[:4], groups, *rest[5:])
    for channels in (c1, c2):
        if channels % groups:
            raise ValueError(f"{groups} groups do not divide {channels} channels: write 1, or as many as channels")
    if number > 1 and c1 != c2:
        raise ValueError(f"number {number} repeats a layer from {c1} to {c2} channels: write 1")
    if number > 20:
        raise ValueError(f"number {number} repeats a layer that changes the size of the map")
    step = Fraction(1, integer(rest, 1, "stride", 1))
    return Call((c1, c2, *rest), c2, _times(stride, step**number), number)


def upsampling_conv(kernel: int, stride: int) -> Rule:
    """Return the rule of ultralytics' transposed convolutions `[c2, kernel, stride, …]` with these defaults."""

    def rule(args: tuple[Any, ...], number: int, reads: Reads, scale: Scale) -> Call:
        c1, before = reads.one()
        c2 = scale.channels(integer(args, 0, "channels"))
        if number != 1:
            raise ValueError(f"number {number} repeats a layer that changes the size of the map: write 1")
        size, step = integer(args, 1, "kernel", kernel), integer(args, 2, "stride", stride)
        return Call((c1, c2, size, step, *args[3:]), c2, _times(before, Fraction(1, step)))

    return rule


def normalisation(args: tuple[Any, ...], number: int, reads: Reads, scale: Scale) -> Call:
    """Read nn.BatchNorm2d rows: `[]`, or the channels, which are inferred; options of torch after them."""
    channels, stride = reads.one()
    if args and isinstance(args[0], int) and not isinstance(args[0], bool):
        written = integer(args, 0, "channels")
        if channels not in (written, scale.channels(written)):
            raise ValueError(f"argument 1 (channels) is {written}, but the map has {channels}: write []")
        args = args[1:]
    return Call((channels, *args), channels, stride, number)


def pixel_shuffle(args: tuple[Any, ...], number: int, reads: Reads, scale: Scale) -> Call:
    """Read nn.PixelShuffle rows `[factor]`."""
    channels, stride = reads.one()
    factor = _factor(args, number)
    if channels % factor**2:
        raise ValueError(f"{channels} channels cannot be spread by a factor of {factor}: no multiple of {factor**2}")
    return Call((factor,), channels // factor**2, _times(stride, Fraction(1, factor)))


def pixel_unshuffle(args: tuple[Any, ...], number: int, reads: Reads, scale: Scale) -> Call:
    """Read nn.PixelUnshuffle rows `[factor]`."""
    channels, stride = reads.one()
    factor = _factor(args, number)
    return Call((factor,), channels * factor**2, _times(stride, factor))


def _factor(args: tuple[Any, ...], number: int) -> int:
    factor = integer(args, 0, "factor")
    if len(args) > 1 or factor > 64 or number != 1:
        raise ValueError(f"arguments are {list(args)}, number {number}: expected [factor] up to 64, once")
    return factor


def _times(stride: Stride, step: Fraction | int) -> Stride:
    return None if stride is None else stride * step
