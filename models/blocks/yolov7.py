"""What YOLOv7 rearranges, pools and joins maps with."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor, nn

from models.blocks.convolution import convolution
from models.catalog.channel_rules import Call, Reads, Scale, add, integer, scaled
from models.catalog.registry import register_block


def _times(reads: Reads, factor: int, stride: int) -> tuple[int, int, Fraction | None]:
    """Return channels read, channels times factor, and the stride times `stride`."""
    channels, before = reads.one()
    return channels, channels * factor, None if before is None else before * stride


def _pool(args: tuple[Any, ...], number: int, reads: Reads, scale: Scale) -> Call:
    """Read MP rows `[kernel]`: the kernel is the stride."""
    _, channels, stride = _times(reads, 1, integer(args, 0, "kernel size", 2))
    return Call(args, channels, stride)


def _same_pool(args: tuple[Any, ...], number: int, reads: Reads, scale: Scale) -> Call:
    """Read SP rows `[kernel, stride]`."""
    _, channels, stride = _times(reads, 1, integer(args, 1, "stride", 1))
    return Call(args, channels, stride)


def _reorg(args: tuple[Any, ...], number: int, reads: Reads, scale: Scale) -> Call:
    _, channels, stride = _times(reads, 4, 2)
    return Call((), channels, stride)


def _shortcut(args: tuple[Any, ...], number: int, reads: Reads, scale: Scale) -> Call:
    """Read Shortcut rows; their argument, a dimension, has no effect in the original either."""
    call = add((), number, reads, scale)
    return Call((), call.channels, call.stride)


def _down(args: tuple[Any, ...], number: int, reads: Reads, scale: Scale) -> Call:
    """Read DownC rows `[c2, stride]`; their number is ignored, as in the original."""
    c1, _, stride = _times(reads, 1, integer(args, 1, "stride", 2))
    c2 = scale.channels(integer(args, 0, "channels"))
    return Call((c1, c2, number, *args[1:]), c2, stride)


@register_block(_pool)
class MP(nn.Module):
    """Max-pool that divides the size by its kernel.

    Args:
        k: kernel and stride.

    Shape:
        input (B, C, H, W); output (B, C, H // k, W // k).

    Source:
        Wang et al., YOLOv7, arXiv:2207.02696; authors' code WongKinYiu/yolov7.
    """

    def __init__(self, k: int = 2) -> None:
        super().__init__()
        self.m = nn.MaxPool2d(k, k)

    def forward(self, x: Tensor) -> Tensor:
        """Pool."""
        out: Tensor = self.m(x)
        return out


@register_block(_same_pool)
class SP(nn.Module):
    """Max-pool that keeps the size.

    Args:
        k: kernel, odd.
        s: stride.

    Shape:
        input and output (B, C, H, W) for s = 1.

    Source:
        Wang et al., YOLOv7, arXiv:2207.02696; authors' code WongKinYiu/yolov7.
    """

    def __init__(self, k: int = 3, s: int = 1) -> None:
        super().__init__()
        self.m = nn.MaxPool2d(k, s, k // 2)

    def forward(self, x: Tensor) -> Tensor:
        """Pool."""
        out: Tensor = self.m(x)
        return out


@register_block(_reorg)
class ReOrg(nn.Module):
    """Move each 2 × 2 square of pixels into channels.

    Shape:
        input (B, C, H, W), H and W even; output (B, 4C, H / 2, W / 2), by (row, column) parity (0, 0), (1, 0), (0, 1),
        (1, 1).

    Source:
        Wang et al., YOLOv7, arXiv:2207.02696; authors' code WongKinYiu/yolov7.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Rearrange."""
        parts = [x[..., row::2, column::2] for column in (0, 1) for row in (0, 1)]
        return torch.cat(parts, 1)


@register_block(_shortcut)
class Shortcut(nn.Module):
    """Sum of maps.

    Shape:
        input: list of (B, C, H, W); output (B, C, H, W).

    Source:
        Wang et al., YOLOv7, arXiv:2207.02696; authors' code WongKinYiu/yolov7.
    """

    def forward(self, x: Sequence[Tensor]) -> Tensor:
        """Add."""
        total = x[0]
        for other in x[1:]:
            total = total + other
        return total


@register_block(_down)
class DownC(nn.Module):
    """Halve the size by a strided convolution beside a pooled one.

    Args:
        c1: channels read.
        c2: channels returned, even.
        n: ignored, as in the original.
        k: stride.

    Shape:
        input (B, c1, H, W); output (B, c2, H / k, W / k).

    Source:
        Wang et al., YOLOv7, arXiv:2207.02696, E6 models; authors' code WongKinYiu/yolov7.
    """

    def __init__(self, c1: int, c2: int, n: int = 1, k: int = 2) -> None:
        super().__init__()
        self.cv1 = convolution(c1, c1)
        self.cv2 = convolution(c1, c2 // 2, 3, k)
        self.cv3 = convolution(c1, c2 // 2)
        self.mp = nn.MaxPool2d(k, k)

    def forward(self, x: Tensor) -> Tensor:
        """Join both parts."""
        return torch.cat((self.cv2(self.cv1(x)), self.cv3(self.mp(x))), 1)


@register_block(scaled(factor=2))
class MPConv(nn.Module):
    """Halve the size by max-pooling beside a strided convolution: the transition of yolov7 and yolov7x.

    Args:
        c1: channels read.
        c2: channels returned, even.

    Shape:
        input (B, c1, H, W); output (B, c2, H / 2, W / 2), the convolved half first.

    Source:
        Wang et al., YOLOv7, arXiv:2207.02696; five rows of the authors' YAML.
    """

    def __init__(self, c1: int, c2: int) -> None:
        super().__init__()
        self.mp = nn.MaxPool2d(2, 2)
        self.cv1 = convolution(c1, c2 // 2)
        self.cv2 = convolution(c1, c2 // 2)
        self.cv3 = convolution(c2 // 2, c2 // 2, 3, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Join both parts."""
        return torch.cat((self.cv3(self.cv2(x)), self.cv1(self.mp(x))), 1)

    @staticmethod
    def flat_units(*args: Any) -> list[str]:
        """Return what of the block is a row with weights in the original flat YAML, in its order."""
        return ["cv1", "cv2", "cv3"]
