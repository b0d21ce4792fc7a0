"""The layers of ultralytics, torch.nn and torchvision that a model YAML may name, with their channel rules.

A table rather than a look-up in ultralytics' namespace: what is not listed here cannot be constructed from a file.
"""

from typing import TYPE_CHECKING, Any

from models.catalog.channel_rules import (
    Call,
    Reads,
    Rule,
    Scale,
    concat,
    integer,
    keep,
    once,
    pooling,
    scaled,
    upsampling,
)
from models.catalog.torch_rules import (
    convolution,
    normalisation,
    pixel_shuffle,
    pixel_unshuffle,
    transposed_convolution,
    upsampling_conv,
)
from models.errors import short

if TYPE_CHECKING:
    from torch import nn

_CONV = scaled(stride_at=2)
_REPEATED = scaled(repeats=True)
_ONCE = scaled()
_HALVED = scaled(factor=2)


def _c3k2(args: tuple[Any, ...], number: int, reads: Reads, scale: Scale) -> Call:
    """C3k2 uses C3k units in the large models whatever the row says."""
    call = _REPEATED(args, number, reads, scale)
    if scale.letter in {"m", "l", "x"}:
        return Call((*call.args[:3], True, *call.args[4:]), call.channels, call.stride)
    return call


def _a2c2f(args: tuple[Any, ...], number: int, reads: Reads, scale: Scale) -> Call:
    """A2C2f has a residual scale and a wider MLP in the largest models."""
    call = _REPEATED(args, number, reads, scale)
    if scale.letter in {"l", "x"}:
        return Call((*call.args, True, 1.2), call.channels, call.stride)
    return call


def _cb_linear(args: tuple[Any, ...], number: int, reads: Reads, scale: Scale) -> Call:
    """CBLinear returns a list of maps, one for each entry of its channel list."""
    c1, stride = reads.one()
    if not args or not isinstance(args[0], list | tuple) or not args[0]:
        raise ValueError(
            f"argument 1 is {short(args[0] if args else None)}, expected a list of channels such as [64, 128]"
        )
    channels = tuple(integer(args[0], i, "channels") for i in range(len(args[0])))
    return Call((c1, list(channels), *args[1:]), channels, stride)


def _cb_fuse(args: tuple[Any, ...], number: int, reads: Reads, scale: Scale) -> Call:
    """CBFuse adds one map of each list, resized, to its last input."""
    *lists, last = reads.channels
    if not reads.is_list or not isinstance(last, int):
        raise ValueError("reads a list whose last entry is one map")
    once(number)
    if not args or not isinstance(args[0], list | tuple) or len(args[0]) != len(lists):
        found = args[0] if args else None
        raise ValueError(
            f"argument 1 is {short(found)}, expected an index for each of the {len(lists)} lists that it reads"
        )
    for index, channels in zip(args[0], lists, strict=True):
        if not isinstance(channels, tuple) or not isinstance(index, int) or not 0 <= index < len(channels):
            raise ValueError(
                f"index {short(index)} picks from {short(channels)}, expected a CBLinear with so many maps"
            )
        if channels[index] != last:
            raise ValueError(f"adds a map of {channels[index]} channels to one of {last}, expected equal numbers")
    return Call(args, last, reads.strides[-1])


def _hg_stem(args: tuple[Any, ...], number: int, reads: Reads, scale: Scale) -> Call:
    """HGStem takes inner and outer channels, which are not scaled, and quarters the size."""
    c1, stride = reads.one()
    c2 = integer(args, 1, "channels")
    return Call((c1, integer(args, 0, "inner channels"), c2, *args[2:]), c2, None if stride is None else 4 * stride)


def _hg_block(args: tuple[Any, ...], number: int, reads: Reads, scale: Scale) -> Call:
    """HGBlock takes inner and outer channels, which are not scaled, a kernel, and its number as the fifth argument."""
    c1, stride = reads.one()
    c2 = integer(args, 1, "channels")
    inner, kernel = integer(args, 0, "inner channels"), integer(args, 2, "kernel", 3)
    return Call((c1, inner, c2, kernel, number, *args[3:]), c2, stride)


STOCK: dict[str, Rule] = {
    "Conv": _CONV,
    "DWConv": _CONV,
    "GhostConv": _CONV,
    "SCDown": _CONV,
    "ConvTranspose": upsampling_conv(2, 2),
    "DWConvTranspose2d": upsampling_conv(1, 1),
    "GhostBottleneck": _CONV,
    "HGStem": _hg_stem,
    "HGBlock": _hg_block,
    "Focus": _HALVED,
    "AConv": _HALVED,
    "ADown": _HALVED,
    "Bottleneck": _ONCE,
    "SPP": _ONCE,
    "SPPF": _ONCE,
    "SPPELAN": _ONCE,
    "ELAN1": _ONCE,
    "RepNCSPELAN4": _ONCE,
    "PSA": _ONCE,
    "BottleneckCSP": _REPEATED,
    "C1": _REPEATED,
    "C2": _REPEATED,
    "C2f": _REPEATED,
    "C2fPSA": _REPEATED,
    "C2fCIB": _REPEATED,
    "C2PSA": _REPEATED,
    "C3": _REPEATED,
    "C3x": _REPEATED,
    "C3TR": _REPEATED,
    "C3Ghost": _REPEATED,
    "RepC3": _REPEATED,
    "C3k2": _c3k2,
    "A2C2f": _a2c2f,
    "Concat": concat,
    "CBLinear": _cb_linear,
    "CBFuse": _cb_fuse,
    "nn.Upsample": upsampling(size_at=0, scale_at=1),
    "nn.Conv2d": convolution,
    "nn.ConvTranspose2d": transposed_convolution,
    "nn.PixelShuffle": pixel_shuffle,
    "nn.PixelUnshuffle": pixel_unshuffle,
    "nn.MaxPool2d": pooling,
    "nn.AvgPool2d": pooling,
    "nn.ZeroPad2d": keep,  # a row or two of padding leaves the nominal stride alone
    "nn.Identity": keep,
    "nn.BatchNorm2d": normalisation,
    "nn.SiLU": keep,
    "nn.ReLU": keep,
    "nn.LeakyReLU": keep,
    "nn.Dropout2d": keep,
}

# Blocks whose presence makes ultralytics build the newer classification branch of its Detect head.
NEW_HEAD_BLOCKS = frozenset({"C3k2", "A2C2f", "C2fCIB"})


def stock_class(name: str) -> "type[nn.Module]":
    """Return the class of a name in `STOCK`."""
    from torch import nn

    if name.startswith("nn."):
        found: type[nn.Module] = getattr(nn, name[3:])
    else:
        from models.upstream.layers import tasks

        found = getattr(tasks, name)
    return found
