"""YOLOv7's aggregations as forks of ultralytics name them: one row for many of the original YAML."""

from typing import Any

import torch
from torch import Tensor, nn

from models.blocks.convolution import convolution, numbers_at_most
from models.blocks.yolov7 import SP
from models.catalog.channel_rules import Call, Reads, Scale, integer
from models.catalog.registry import register_block


def _aggregation(args: tuple[Any, ...], number: int, reads: Reads, scale: Scale) -> Call:
    """Read `[c2, hidden, act]` rows."""
    c1, stride = reads.one()
    numbers_at_most(args, 3, "channels, hidden, act")
    c2, hidden = (scale.channels(integer(args, i, what)) for i, what in enumerate(("channels", "hidden channels")))
    return Call((c1, c2, hidden, *args[2:]), c2, stride)


def _pyramid(args: tuple[Any, ...], number: int, reads: Reads, scale: Scale) -> Call:
    """Read `[c2, act]` rows."""
    c1, stride = reads.one()
    numbers_at_most(args, 2, "channels, act")
    c2 = scale.channels(integer(args, 0, "channels"))
    return Call((c1, c2, *args[1:]), c2, stride)


@register_block(_aggregation)
class Yolov7_Tiny_E_ELAN(nn.Module):
    """Two 1 × 1 branches and the outputs of two 3 × 3 convolutions after the second, joined.

    Args:
        c1: channels read.
        c2: channels returned.
        hidden: channels of the branches.
        act: the model's activation (True), none (False), or a module.

    Shape:
        input (B, c1, H, W); output (B, c2, H, W).

    Source:
        Wang et al., YOLOv7, arXiv:2207.02696, yolov7-tiny; joined oldest first.
    """

    def __init__(self, c1: int, c2: int, hidden: int, act: bool | nn.Module = True) -> None:
        super().__init__()
        self.conv1 = convolution(c1, hidden, act=act)
        self.conv2 = convolution(c1, hidden, act=act)
        self.conv3 = convolution(hidden, hidden, 3, act=act)
        self.conv4 = convolution(hidden, hidden, 3, act=act)
        self.conv5 = convolution(4 * hidden, c2, act=act)

    def forward(self, x: Tensor) -> Tensor:
        """Aggregate."""
        maps = [self.conv1(x), self.conv2(x)]
        for conv in (self.conv3, self.conv4):
            maps.append(conv(maps[-1]))
        out: Tensor = self.conv5(torch.cat(maps, 1))
        return out


@register_block(_pyramid)
class Yolov7_Tiny_SPP(nn.Module):
    """Pools of 5, 9 and 13 beside a bypass.

    Args:
        c1: channels read.
        c2: channels returned.
        act: the model's activation (True), none (False), or a module.

    Shape:
        input (B, c1, H, W); output (B, c2, H, W).

    Source:
        Wang et al., YOLOv7, arXiv:2207.02696, yolov7-tiny; joined smallest pool first, the bypass last.
    """

    def __init__(self, c1: int, c2: int, act: bool | nn.Module = True) -> None:
        super().__init__()
        self.conv1 = convolution(c1, c2, act=act)
        self.conv2 = convolution(c1, c2, act=act)
        self.sp_5x5, self.sp_9x9, self.sp_13x13 = SP(5), SP(9), SP(13)
        self.conv3 = convolution(4 * c2, c2, act=act)
        self.conv4 = convolution(2 * c2, c2, act=act)

    def forward(self, x: Tensor) -> Tensor:
        """Pool at several sizes and join with the bypass."""
        inner = self.conv2(x)
        pooled = torch.cat((inner, self.sp_5x5(inner), self.sp_9x9(inner), self.sp_13x13(inner)), 1)
        out: Tensor = self.conv4(torch.cat((self.conv3(pooled), self.conv1(x)), 1))
        return out
