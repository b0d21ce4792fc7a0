"""Blocks of light backbones: ShuffleNetV2, MobileNetV3 and PP-LCNet, as forks put them into rows."""

from typing import Any

import torch
from torch import Tensor, nn

from models.blocks.convolution import FoldingSequence, conv_norm, numbers_at_most
from models.catalog.channel_rules import Call, Reads, Scale, integer, scaled
from models.catalog.registry import register_block


def _shuffle(args: tuple[Any, ...], number: int, reads: Reads, scale: Scale) -> Call:
    """Read Shuffle_Block rows `[c2, stride]`."""
    c1, stride = reads.one()
    numbers_at_most(args, 2, "channels, stride")
    c2, step = scale.channels(integer(args, 0, "channels")), integer(args, 1, "stride", 1)
    if step > 3 or (step == 1 and c1 != c2) or (step > 1 and number > 1):
        raise ValueError(
            f"from {c1} to {c2} channels with stride {step}, number {number}: only a block with stride 2, once, "
            "changes the channels"
        )
    return Call((c1, c2, step), c2, None if stride is None else stride * step, number)


def _inverted(args: tuple[Any, ...], number: int, reads: Reads, scale: Scale) -> Call:
    """Read MobileNetV3 rows `[c2, hidden, kernel, stride, se, hs]`; the hidden width is not scaled, as in forks."""
    c1, stride = reads.one()
    if len(args) != 6 or any(flag not in (0, 1) for flag in args[4:]):
        raise ValueError(f"arguments are {list(args)}, expected [channels, hidden, kernel, stride, 0 or 1, 0 or 1]")
    c2, hidden = scale.channels(integer(args, 0, "channels")), integer(args, 1, "hidden channels")
    kernel, step = integer(args, 2, "kernel"), integer(args, 3, "stride")
    if kernel % 2 == 0 or step > 2 or number != 1:
        raise ValueError(
            f"kernel {kernel}, stride {step}, number {number}: expected an odd kernel, stride 1 or 2, once"
        )
    return Call((c1, c2, hidden, kernel, step, *args[4:]), c2, None if stride is None else stride * step)


def shuffled(x: Tensor) -> Tensor:
    """Interleave the two halves of the channels of (B, C, H, W)."""
    batch, c, height, width = x.shape
    return x.view(batch, 2, c // 2, height, width).transpose(1, 2).reshape(batch, c, height, width)


@register_block(_shuffle)
class Shuffle_Block(nn.Module):
    """ShuffleNetV2's unit: half of the channels pass by, or both branches stride; then the halves are interleaved.

    Args:
        c1: channels read.
        c2: channels returned, even; c1 for stride 1.
        stride: 1, or 2 or 3.

    Shape:
        input (B, c1, H, W); output (B, c2, H / stride, W / stride).

    Source:
        Ma et al., ShuffleNet V2, ECCV 2018, arXiv:1807.11164, fig. 3 (c) and (d).
    """

    def __init__(self, c1: int, c2: int, stride: int) -> None:
        super().__init__()
        self.stride, half = stride, c2 // 2
        if stride > 1:
            self.branch1 = FoldingSequence(*conv_norm(c1, c1, 3, stride, c1), *conv_norm(c1, half), nn.ReLU())
        read = c1 if stride > 1 else half
        self.branch2 = FoldingSequence(
            *conv_norm(read, half),
            nn.ReLU(),
            *conv_norm(half, half, 3, stride, half),
            *conv_norm(half, half),
            nn.ReLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Run the branches and interleave."""
        if self.stride == 1:
            by, read = x.chunk(2, 1)
            return shuffled(torch.cat((by, self.branch2(read)), 1))
        return shuffled(torch.cat((self.branch1(x), self.branch2(x)), 1))


@register_block(scaled(factor=4), "conv_bn_relu_maxpool")
class CBRM(nn.Module):
    """ShuffleNetV2's stem: a strided convolution, normalisation, ReLU, and a strided max-pool.

    Args:
        c1: channels read.
        c2: channels returned.

    Shape:
        input (B, c1, H, W); output (B, c2, H / 4, W / 4).

    Source:
        Ma et al., ShuffleNet V2, ECCV 2018, arXiv:1807.11164, table 5.
    """

    def __init__(self, c1: int, c2: int) -> None:
        super().__init__()
        self.conv = FoldingSequence(*conv_norm(c1, c2, 3, 2), nn.ReLU())
        self.maxpool = nn.MaxPool2d(3, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve and pool."""
        out: Tensor = self.maxpool(self.conv(x))
        return out


class _Excite(nn.Module):
    """Squeeze-and-excitation with a quarter of the channels, under the names of YOLOv5's forks."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.Squeeze = nn.AdaptiveAvgPool2d(1)
        self.Excitation = nn.Sequential()
        self.Excitation.add_module("FC1", nn.Conv2d(channels, channels // 4, 1))
        self.Excitation.add_module("ReLU", nn.ReLU())
        self.Excitation.add_module("FC2", nn.Conv2d(channels // 4, channels, 1))
        self.Excitation.add_module("Sigmoid", nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        """Gate."""
        gated: Tensor = x * self.Excitation(self.Squeeze(x))
        return gated


@register_block(_inverted, "MobileNet_Block")
class MobileNetV3_InvertedResidual(nn.Module):
    """MobileNetV3's inverted bottleneck: expand, depthwise, gate, project; added to the input where shapes allow.

    Args:
        c1: channels read.
        c2: channels returned.
        hidden: width inside; equal to c1 there is no expansion.
        kernel: of the depthwise convolution, odd.
        stride: 1 or 2.
        use_se: whether squeeze-and-excitation follows the depthwise convolution.
        use_hs: hard swish instead of ReLU.

    Shape:
        input (B, c1, H, W); output (B, c2, H / stride, W / stride).

    Source:
        Howard et al., Searching for MobileNetV3, ICCV 2019, arXiv:1905.02244, fig. 4; tensor names of forks of YOLOv5,
        whose gate is a sigmoid.
    """

    def __init__(
        self, c1: int, c2: int, hidden: int, kernel: int, stride: int, use_se: int = 0, use_hs: int = 0
    ) -> None:
        super().__init__()
        self.identity = stride == 1 and c1 == c2
        act = nn.Hardswish if use_hs else nn.ReLU
        gate: nn.Module = _Excite(hidden) if use_se else nn.Sequential()
        depthwise = conv_norm(hidden, hidden, kernel, stride, hidden)
        inner = [*depthwise, act(), gate] if c1 == hidden else [*conv_norm(c1, hidden), act(), *depthwise, gate, act()]
        self.conv = FoldingSequence(*inner, *conv_norm(hidden, c2))

    def forward(self, x: Tensor) -> Tensor:
        """Convolve, and add where shapes allow."""
        out: Tensor = self.conv(x)
        return x + out if self.identity else out


class _ConvNormAct(nn.Module):
    """A convolution, normalisation and hard swish, under the forks' names."""

    def __init__(self, c1: int, c2: int, k: int, s: int, g: int = 1) -> None:
        super().__init__()
        self.conv, self.bn = conv_norm(c1, c2, k, s, g)
        self.act = nn.Hardswish()

    def forward(self, x: Tensor) -> Tensor:
        """Convolve."""
        out: Tensor = self.act(self.bn(self.conv(x)))
        return out

    def fuse(self) -> None:
        """Merge the normalisation into the convolution, in place."""
        pair = FoldingSequence(self.conv, self.bn)
        pair.fuse()
        self.conv, self.bn = pair


@register_block(scaled(stride_at=1))
class conv_bn_hswish(_ConvNormAct):
    """A 3 × 3 convolution, normalisation and hard swish: MobileNetV3's stem, in rows `[c2, stride]`."""

    def __init__(self, c1: int, c2: int, stride: int = 1) -> None:
        super().__init__(c1, c2, 3, stride)


@register_block(scaled(stride_at=2))
class CBH(_ConvNormAct):
    """A convolution, normalisation and hard swish: PP-LCNet's stem, in rows `[c2, kernel, stride, groups]`."""
