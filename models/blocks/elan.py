"""Efficient layer aggregation, the block that YOLOv7 is made of; it stands for many rows of the original flat YAML."""

from typing import Any

import torch
from torch import Tensor, nn

from models.blocks.convolution import convolution
from models.catalog.channel_rules import Call, Reads, Scale, integer
from models.catalog.registry import register_block


def _elan(args: tuple[Any, ...], number: int, reads: Reads, scale: Scale) -> Call:
    """Read ELAN rows `[c2, hidden, stacked, depth]`; the number counts the stacked units."""
    c1, stride = reads.one()
    if len(args) > 4:
        raise ValueError(f"has {len(args)} arguments, expected [channels, hidden, stacked, depth]")
    c2, hidden = (scale.channels(integer(args, i, what)) for i, what in enumerate(("channels", "hidden channels")))
    stacked = scale.channels(integer(args, 2, "stacked channels", args[1]))
    depth = integer(args, 3, "convolutions a unit", 1)
    return Call((c1, c2, number, hidden, stacked, depth), c2, stride)


class ConvStack(nn.Module):
    """Convolutions 3 × 3 one after the other: the repeated unit of ELAN.

    Shape:
        input (B, c1, H, W); output (B, c2, H, W).
    """

    def __init__(self, c1: int, c2: int, depth: int) -> None:
        super().__init__()
        for i in range(depth):
            self.add_module(f"cv{i + 1}", convolution(c2 if i else c1, c2, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Convolve."""
        for conv in self.children():
            x = conv(x)
        return x


@register_block(_elan)
class ELAN(nn.Module):
    """Efficient layer aggregation: two 1 × 1 branches and the outputs of stacked units, joined.

    Args:
        c1: channels read.
        c2: channels returned.
        units: how many units are stacked on the second branch.
        hidden: channels of the branches.
        stacked: channels of each unit.
        depth: 3 × 3 convolutions a unit.

    Shape:
        input (B, c1, H, W); output (B, c2, H, W).

    Source:
        Wang et al., YOLOv7, arXiv:2207.02696, fig. 2; 8 to 14 rows of the authors' YAML. Joined newest first.
    """

    def __init__(self, c1: int, c2: int, units: int, hidden: int, stacked: int, depth: int = 1) -> None:
        super().__init__()
        self.cv1 = convolution(c1, hidden)
        self.cv2 = convolution(c1, hidden)
        self.m = nn.ModuleList(ConvStack(stacked if i else hidden, stacked, depth) for i in range(units))
        self.cv3 = convolution(2 * hidden + units * stacked, c2)

    def forward(self, x: Tensor) -> Tensor:
        """Aggregate."""
        maps = [self.cv1(x), self.cv2(x)]
        for unit in self.m:
            maps.append(unit(maps[-1]))
        out: Tensor = self.cv3(torch.cat(maps[::-1], 1))
        return out

    @staticmethod
    def flat_units(c1: int, c2: int, units: int, hidden: int, stacked: int, depth: int) -> list[str]:
        """Return what of the block is a row with weights in the original flat YAML, in its order."""
        stack = [f"m.{unit}.cv{conv + 1}" for unit in range(units) for conv in range(depth)]
        return ["cv1", "cv2", *stack, "cv3"]


@register_block(_elan)
class EELAN(nn.Module):
    """Extended ELAN as E6E computes it: two ELANs on one map, summed.

    The sum equals group convolution, shuffle and merge of the paper's E-ELAN with two groups.

    Args:
        c1: channels read.
        c2: channels returned.
        units: how many units each ELAN stacks.
        hidden: channels of the branches.
        stacked: channels of each unit.
        depth: 3 × 3 convolutions a unit.

    Shape:
        input (B, c1, H, W); output (B, c2, H, W).

    Source:
        Wang et al., YOLOv7, arXiv:2207.02696, fig. 2 (d); 21 rows of the authors' YAML.
    """

    def __init__(self, c1: int, c2: int, units: int, hidden: int, stacked: int, depth: int = 1) -> None:
        super().__init__()
        self.m = nn.ModuleList(ELAN(c1, c2, units, hidden, stacked, depth) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """Aggregate twice and add."""
        first, second = (elan(x) for elan in self.m)
        total: Tensor = second + first
        return total

    @staticmethod
    def flat_units(*args: int) -> list[str]:
        """Return what of the block is a row with weights in the original flat YAML, in its order."""
        return [f"m.{i}.{unit}" for i in range(2) for unit in ELAN.flat_units(*args)]
