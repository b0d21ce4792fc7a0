"""EfficientNetV2's stages: inverted bottlenecks with squeeze-and-excitation, and fused ones."""

from functools import partial
from typing import Any

from torch import Tensor, nn

from models.blocks.convolution import FoldingSequence, conv_norm, numbers_at_most
from models.catalog.channel_rules import Call, Reads, Scale, integer
from models.catalog.registry import register_block

_WIDEST = 64  # expansion


def _stage(args: tuple[Any, ...], number: int, reads: Reads, scale: Scale) -> Call:
    """Read `[c2, stride, expansion]` rows; the number counts the blocks of the stage, the first one strides."""
    c1, stride = reads.one()
    numbers_at_most(args, 3, "channels, stride, expansion")
    c2 = scale.channels(integer(args, 0, "channels"))
    step, expand = integer(args, 1, "stride", 1), integer(args, 2, "expansion", 4)
    if expand > _WIDEST:
        raise ValueError(f"argument 3 (expansion) is {expand}, expected at most {_WIDEST}")
    return Call((c1, c2, number, step, expand), c2, None if stride is None else stride * step)


class SqueezeExcite(nn.Module):
    """Scale channels by a gate of their means.

    Args:
        c1: channels from which the reduced ones are counted: a quarter of them.
        channels: C of input and output.

    Shape:
        input and output (B, C, H, W).

    Source:
        Hu et al., CVPR 2018, arXiv:1709.01507, as MobileNetV3 (arXiv:1905.02244) gates it: by a hard sigmoid.
    """

    def __init__(self, c1: int, channels: int) -> None:
        super().__init__()
        reduced = max(1, c1 // 4)
        self.avg_pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Sequential(
            nn.Conv2d(channels, reduced, 1), nn.SiLU(), nn.Conv2d(reduced, channels, 1), nn.Hardsigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        """Gate."""
        scaled: Tensor = x * self.fc(self.avg_pool(x))
        return scaled


class InvertedBlock(nn.Module):
    """Expand, convolve, project; added to the input where shapes allow.

    Args:
        c1: channels read.
        c2: channels returned.
        s: stride.
        expand: width inside over c1.
        fused: one 3 × 3 convolution expands, instead of a 1 × 1 one and a depthwise one with squeeze-and-excitation.

    Shape:
        input (B, c1, H, W); output (B, c2, H / s, W / s).

    Source:
        Tan and Le, EfficientNetV2, ICML 2021, arXiv:2104.00298, fig. 2.
    """

    def __init__(self, c1: int, c2: int, s: int = 1, expand: int = 4, *, fused: bool = False) -> None:
        super().__init__()
        hidden = c1 * expand
        self.adds = s == 1 and c1 == c2
        layers: list[nn.Module] = []
        if fused and expand == 1:
            layers = [*conv_norm(c1, c2, 3, s), nn.SiLU()]
        elif fused:
            layers = [*conv_norm(c1, hidden, 3, s), nn.SiLU(), *conv_norm(hidden, c2)]
        else:
            if expand > 1:
                layers = [*conv_norm(c1, hidden), nn.SiLU()]
            layers += [*conv_norm(hidden, hidden, 3, s, hidden), nn.SiLU(), SqueezeExcite(c1, hidden)]
            layers += conv_norm(hidden, c2)
        self.block = FoldingSequence(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve, and add where shapes allow."""
        out: Tensor = self.block(x)
        return x + out if self.adds else out


class Stage(nn.Module):
    """Inverted blocks one after the other; the first one strides and changes the channels.

    Args:
        c1: channels read.
        c2: channels returned.
        n: how many blocks.
        s: stride of the first.
        expand: width inside over what a block reads.

    Shape:
        input (B, c1, H, W); output (B, c2, H / s, W / s).

    Source:
        Tan and Le, EfficientNetV2, ICML 2021, arXiv:2104.00298, fig. 2; tensor names of forks of ultralytics.
    """

    fused = False

    def __init__(self, c1: int, c2: int, n: int = 1, s: int = 1, expand: int = 4) -> None:
        super().__init__()
        make = partial(InvertedBlock, expand=expand, fused=self.fused)
        self.blocks = nn.ModuleList(make(c2 if i else c1, c2, 1 if i else s) for i in range(n))

    def forward(self, x: Tensor) -> Tensor:
        """Run the blocks."""
        for block in self.blocks:
            x = block(x)
        return x


@register_block(_stage)
class MBConv(Stage):
    """A stage of inverted bottlenecks: 1 × 1, depthwise 3 × 3, squeeze-and-excitation, 1 × 1."""


@register_block(_stage)
class FusedMBConv(Stage):
    """A stage of fused inverted bottlenecks: 3 × 3, 1 × 1."""

    fused = True
