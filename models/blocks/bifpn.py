"""Weighted fusion of maps, as BiFPN does it: each map has a learned weight, and the weights are normalised."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from models.blocks.convolution import convolution, numbers_at_most
from models.catalog.channel_rules import Call, Reads, Rule, Scale, integer, once, same_stride
from models.catalog.fusion_rules import equal_channels, how_many, weighted_sum
from models.catalog.registry import register_block

EPS = 1e-4  # of the fast normalised fusion


def _weighted_concat(*maps: int) -> Rule:
    """Return the rule of `[1]` rows that weigh so many maps (any number where none is given) and join them."""

    def rule(args: tuple[Any, ...], number: int, reads: Reads, scale: Scale) -> Call:
        channels, strides = reads.maps()
        once(number)
        how_many(channels, maps or range(2, 17))
        if args not in ((), (1,), (1, len(channels))):
            raise ValueError(
                f"arguments are {list(args)}, expected [1] (channels); the form that sums maps and convolves them is "
                "Concat_bifpn"
            )
        return Call((1, len(channels)), sum(channels), same_stride(strides))

    return rule


def _bifpn(args: tuple[Any, ...], number: int, reads: Reads, scale: Scale) -> Call:
    """Read BiFPN rows: `[]` sums equal maps, `[c2]` brings them to c2 channels and to the size of the first."""
    channels, strides = reads.maps()
    once(number)
    numbers_at_most(args, 1, "channels")
    if not args:
        c = equal_channels(channels)
        return Call((len(channels),), c, same_stride(strides))
    c2 = scale.channels(integer(args, 0, "channels"))
    return Call((channels, c2), c2, strides[0])


def normalised(weights: Tensor) -> Tensor:
    """Return weights (n,) over their sum, which is kept away from 0."""
    return weights / (weights.sum() + EPS)


def total(maps: Sequence[Tensor], weights: Tensor) -> Tensor:
    """Return the sum of maps (B, C, H, W), each times its weight."""
    summed = weights[0] * maps[0]
    for i, x in enumerate(maps[1:], 1):
        summed = summed + weights[i] * x
    return summed


class WeightedConcat(nn.Module):
    """Join maps, each times its normalised weight.

    Args:
        dimension: along which maps are joined; 1, the channels.
        n: how many maps there are.

    Shape:
        input: list of (B, C_i, H, W); output (B, ΣC_i, H, W).

    Source:
        Tan et al., EfficientDet, CVPR 2020, arXiv:1911.09070, §3.3, fast normalised fusion w / (ε + Σw), with
        concatenation in place of the sum as YOLO's forks write it.
    """

    relu = False

    def __init__(self, dimension: int = 1, n: int = 2) -> None:
        super().__init__()
        self.d = dimension
        self.w = nn.Parameter(torch.ones(n))

    def forward(self, x: Sequence[Tensor]) -> Tensor:
        """Weigh and join."""
        weights = normalised(self.w.relu() if self.relu else self.w)
        return torch.cat([weights[i] * each for i, each in enumerate(x)], self.d)


@register_block(_weighted_concat(2))
class BiFPN_Concat2(WeightedConcat):
    """Join two maps by learned weights; these are not kept above 0, as in the forks."""


@register_block(_weighted_concat(3))
class BiFPN_Concat3(WeightedConcat):
    """Join three maps by learned weights; these are not kept above 0, as in the forks."""

    def __init__(self, dimension: int = 1, n: int = 3) -> None:
        super().__init__(dimension, n)


@register_block(_weighted_concat())
class BiFPN_Concat(WeightedConcat):
    """Join any number of maps by learned weights, which are kept above 0 by ReLU as in the paper."""

    relu = True


class WeightedAdd(nn.Module):
    """Sum maps of equal channels by normalised weights, activate, and convolve 1 × 1 with a bias.

    Args:
        c1: channels read.
        c2: channels returned.
        n: how many maps there are.

    Shape:
        input: list of (B, c1, H, W); output (B, c2, H, W).

    Source:
        Tan et al., EfficientDet, CVPR 2020, arXiv:1911.09070, §3.3; SiLU before a bare convolution is the forks' form.
    """

    def __init__(self, c1: int, c2: int, n: int = 2) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.ones(n))
        self.conv = nn.Conv2d(c1, c2, 1)
        self.silu = nn.SiLU()

    def forward(self, x: Sequence[Tensor]) -> Tensor:
        """Weigh, add, activate and convolve."""
        out: Tensor = self.conv(self.silu(total(x, normalised(self.w))))
        return out


@register_block(weighted_sum(2))
class BiFPN_Add2(WeightedAdd):
    """Sum two maps by learned weights, then activate and convolve."""


@register_block(weighted_sum(3))
class BiFPN_Add3(WeightedAdd):
    """Sum three maps by learned weights, then activate and convolve."""

    def __init__(self, c1: int, c2: int, n: int = 3) -> None:
        super().__init__(c1, c2, n)


@register_block(weighted_sum(2, 3))
class Concat_bifpn(nn.Module):
    """Sum two or three maps by normalised weights, then ReLU and a 1 × 1 convolution with normalisation.

    Args:
        c1: channels read.
        c2: channels returned.
        n: how many maps there are, 2 or 3.

    Shape:
        input: list of (B, c1, H, W); output (B, c2, H, W).

    Source:
        Tan et al., EfficientDet, CVPR 2020, arXiv:1911.09070, §3.3; tensor names are those of the forks, which carry
        weights for two and for three maps and use one of them. Unlike Concat it adds.
    """

    def __init__(self, c1: int, c2: int, n: int = 2) -> None:
        super().__init__()
        self.w1_weight = nn.Parameter(torch.ones(2), requires_grad=n == 2)
        self.w2_weight = nn.Parameter(torch.ones(3), requires_grad=n == 3)
        self.conv = convolution(c1, c2, 1, 1, 0)
        self.act = nn.ReLU()

    def forward(self, x: Sequence[Tensor]) -> Tensor:
        """Weigh, add, activate and convolve."""
        weights = self.w1_weight if len(x) == 2 else self.w2_weight
        out: Tensor = self.conv(self.act(total(x, normalised(weights))))
        return out


@register_block(_bifpn)
class BiFPN(nn.Module):
    """Sum maps by normalised weights, where asked for at equal channels and the size of the first.

    Args:
        channels: how many maps of equal channels and size there are: nothing else is done. Or the channels of each:
            each is brought to c2 by a 1 × 1 convolution with normalisation and activation, and resized to the first
            map's size (nearest); the weights are kept above 0 by ReLU and the sum is activated by SiLU.
        c2: channels returned, with channels of each map.

    Shape:
        input: list of (B, C_i, H_i, W_i); output (B, c2, H_0, W_0).

    Source:
        Tan et al., EfficientDet, CVPR 2020, arXiv:1911.09070, §3.3. The plain form divides by ε + Σ swish(w), as the
        forks do that pass the number of maps.
    """

    def __init__(self, channels: int | Sequence[int], c2: int | None = None) -> None:
        super().__init__()
        self.plain = isinstance(channels, int)
        if isinstance(channels, int):
            self.weight = nn.Parameter(torch.ones(channels))
            return
        if c2 is None:
            raise ValueError("BiFPN needs the channels to return with the channels of each map")
        self.w = nn.Parameter(torch.ones(len(channels)))
        self.convs = nn.ModuleList(convolution(c, c2) for c in channels)
        self.act = nn.SiLU()

    def forward(self, x: Sequence[Tensor]) -> Tensor:
        """Weigh and add."""
        if self.plain:
            return total(x, self.weight / (nn.functional.silu(self.weight).sum() + EPS))
        size = x[0].shape[2:]
        maps = [conv(each) for conv, each in zip(self.convs, x, strict=True)]
        maps = [maps[0], *(nn.functional.interpolate(each, size=size, mode="nearest") for each in maps[1:])]
        out: Tensor = self.act(total(maps, normalised(self.w.relu())))
        return out
