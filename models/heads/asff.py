"""Adaptively spatial feature fusion before the output convolutions: each level is a weighted sum of all three."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, max_pool2d

from models.heads.yolov5 import AnchorHead
from models.upstream.layers import Conv

Make = Callable[[int, int, int, int], nn.Module]  # channels read, channels returned, kernel, stride


class Fusion(nn.Module):
    """Weigh three levels at each position and sum them at the size of one.

    Args:
        level: whose size and channels come out; 0 is the coarsest.
        channels: of the levels, coarsest first.
        make: constructs a convolution with normalisation and activation.
        weigh: constructs the one that makes three weights.

    Shape:
        input: three maps, coarsest first, each twice as large as the one before; output a map like that of the level.

    Source:
        Liu et al., Learning Spatial Fusion for Single-Shot Object Detection, arXiv:1911.09516, eqs. 1–3; authors' code
        GOATmessi7/ASFF, whose tensor names these are. Weights are predicted from 16 channels a level.
    """

    def __init__(self, level: int, channels: Sequence[int], make: Make, weigh: Make) -> None:
        super().__init__()
        self.level = level
        coarse, middle, fine = channels
        inner = channels[level]
        if level == 0:
            self.stride_level_1 = make(middle, inner, 3, 2)
            self.stride_level_2 = make(fine, inner, 3, 2)
        elif level == 1:
            self.compress_level_0 = make(coarse, inner, 1, 1)
            self.stride_level_2 = make(fine, inner, 3, 2)
        else:
            self.compress_level_0 = make(coarse, inner, 1, 1)
            self.compress_level_1 = make(middle, inner, 1, 1)
        self.expand = make(inner, inner, 3, 1)
        self.weight_level_0 = make(inner, 16, 1, 1)
        self.weight_level_1 = make(inner, 16, 1, 1)
        self.weight_level_2 = make(inner, 16, 1, 1)
        self.weight_levels = weigh(48, 3, 1, 1)

    def forward(self, coarse: Tensor, middle: Tensor, fine: Tensor) -> Tensor:
        """Bring the levels to one size, weigh, sum and convolve."""
        if self.level == 0:
            middle = self.stride_level_1(middle)
            fine = self.stride_level_2(max_pool2d(fine, 3, stride=2, padding=1))
        elif self.level == 1:
            coarse = interpolate(self.compress_level_0(coarse), scale_factor=2.0, mode="nearest")
            fine = self.stride_level_2(fine)
        else:
            coarse = interpolate(self.compress_level_0(coarse), scale_factor=4.0, mode="nearest")
            middle = interpolate(self.compress_level_1(middle), scale_factor=2.0, mode="nearest")
        read = (self.weight_level_0(coarse), self.weight_level_1(middle), self.weight_level_2(fine))
        weights = self.weight_levels(torch.cat(read, 1)).softmax(1)
        total = coarse * weights[:, 0:1] + middle * weights[:, 1:2] + fine * weights[:, 2:]
        out: Tensor = self.expand(total)
        return out


def three_levels(ch: Sequence[int], levels: int) -> list[int]:
    """Return the channels of the maps read, coarsest first.

    Raises:
        ValueError: if there are not three levels.
    """
    if levels != 3 or len(ch) != 3:
        raise ValueError(f"reads {len(ch)} maps with anchors for {levels} levels; this head fuses exactly three")
    return list(ch)[::-1]


class ASFFHead(AnchorHead):
    """AnchorHead on maps fused from all three levels.

    Args, Shape:
        as AnchorHead; three maps are read, finest first.

    Raises:
        ValueError: if there are not three levels.

    Source:
        Liu et al., arXiv:1911.09516, as forks of YOLOv5 have it (`ASFFV5`): YOLO's convolutions, and the one that makes
        the weights is normalised and activated too. Their `multiplier` is inferred from the maps.
    """

    def __init__(
        self, nc: int, anchors: Sequence[Sequence[float]], ch: Sequence[int], strides: Sequence[float] | None = None
    ) -> None:
        channels = three_levels(ch, len(anchors))
        super().__init__(nc, anchors, ch, strides)
        for level in range(3):
            self.add_module(f"l{level}_fusion", Fusion(level, channels, Conv, Conv))

    def raw(self, x: Sequence[Tensor]) -> list[Tensor]:
        """Fuse, then run the output convolutions: per level (B, na, H, W, 5 + nc) logits."""
        coarsest_first = list(x)[::-1]
        return super().raw([self.get_submodule(f"l{level}_fusion")(*coarsest_first) for level in (2, 1, 0)])


def _leaky(c1: int, c2: int, k: int, s: int) -> nn.Module:
    """Return a convolution as the authors of ASFF name and activate it."""
    layers = nn.Sequential()
    layers.add_module("conv", nn.Conv2d(c1, c2, k, s, k // 2, bias=False))
    layers.add_module("batch_norm", nn.BatchNorm2d(c2))
    layers.add_module("leaky", nn.LeakyReLU(0.1))
    return layers


class SequentialASFFHead(AnchorHead):
    """AnchorHead on maps fused one after the other: a finer level reads what the coarser ones have become.

    Args, Shape:
        as AnchorHead; three maps are read, finest first.

    Raises:
        ValueError: if there are not three levels.

    Source:
        Liu et al., arXiv:1911.09516; the fusion is that of the authors' code for YOLOv3, its order that of forks of
        YOLOv5 which overwrite the list of maps as they go.
    """

    def __init__(
        self, nc: int, anchors: Sequence[Sequence[float]], ch: Sequence[int], strides: Sequence[float] | None = None
    ) -> None:
        channels = three_levels(ch, len(anchors))
        super().__init__(nc, anchors, ch, strides)
        self.asffs = nn.ModuleList(Fusion(level, channels, _leaky, nn.Conv2d) for level in range(3))

    def raw(self, x: Sequence[Tensor]) -> list[Tensor]:
        """Fuse, then run the output convolutions: per level (B, na, H, W, 5 + nc) logits."""
        maps = list(x)[::-1]
        for level, fusion in enumerate(self.asffs):
            maps[level] = fusion(*maps)
        return super().raw(maps[::-1])
