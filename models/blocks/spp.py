"""Spatial pyramid pooling of YOLOv6 and YOLOv7."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from models.blocks.convolution import convolution
from models.catalog.channel_rules import scaled
from models.catalog.registry import register_block


@register_block(scaled(repeats=True))
class SPPCSPC(nn.Module):
    """Spatial pyramid pooling beside a bypass (cross stage partial).

    Args:
        c1: channels read.
        c2: channels returned.
        n, shortcut, g: ignored, as in the original.
        e: the hidden width is int(2 · c2 · e).
        k: pooling kernels, odd.

    Shape:
        input (B, c1, H, W); output (B, c2, H, W).

    Source:
        Wang et al., YOLOv7, arXiv:2207.02696; authors' code WongKinYiu/yolov7.
    """

    groups = 1  # of the convolutions

    def __init__(
        self,
        c1: int,
        c2: int,
        n: int = 1,
        shortcut: bool = False,
        g: int = 1,
        e: float = 0.5,
        k: Sequence[int] = (5, 9, 13),
    ) -> None:
        super().__init__()
        hidden, groups = int(2 * c2 * e), self.groups
        self.cv1 = convolution(c1, hidden, g=groups)
        self.cv2 = convolution(c1, hidden, g=groups)
        self.cv3 = convolution(hidden, hidden, 3, g=groups)
        self.cv4 = convolution(hidden, hidden, g=groups)
        self.m = nn.ModuleList(nn.MaxPool2d(size, 1, size // 2) for size in k)
        self.cv5 = convolution((1 + len(k)) * hidden, hidden, g=groups)
        self.cv6 = convolution(hidden, hidden, 3, g=groups)
        self.cv7 = convolution(2 * hidden, c2, g=groups)

    def forward(self, x: Tensor) -> Tensor:
        """Pool at several sizes and join with the bypass."""
        pooled = torch.cat(self.pyramid(self.cv4(self.cv3(self.cv1(x)))), 1)
        out: Tensor = self.cv7(torch.cat((self.cv6(self.cv5(pooled)), self.cv2(x)), 1))
        return out

    def pyramid(self, x: Tensor) -> list[Tensor]:
        """Return a map and what each kernel makes of it."""
        return [x, *(pool(x) for pool in self.m)]


@register_block(scaled(repeats=True))
class SPPCSPC_group(SPPCSPC):
    """SPPCSPC with four groups in every convolution; channels are multiples of 4."""

    groups = 4


@register_block(scaled(repeats=True))
class SPPFCSPC(SPPCSPC):
    """SPPCSPC that pools one kernel again and again instead of several kernels at once.

    Args:
        c1, c2, n, shortcut, g, e: as SPPCSPC.
        k: pooling kernel, odd; three pools of 5 see what pools of 5, 9 and 13 see.

    Source:
        Wang et al., YOLOv7, arXiv:2207.02696, pooled as in YOLOv5's SPPF; published with YOLOAir.
    """

    def __init__(
        self, c1: int, c2: int, n: int = 1, shortcut: bool = False, g: int = 1, e: float = 0.5, k: int = 5
    ) -> None:
        super().__init__(c1, c2, n, shortcut, g, e, (k,) * 3)

    def pyramid(self, x: Tensor) -> list[Tensor]:
        """Return a map and what the pools make of it, each of what the one before returned."""
        maps = [x]
        for pool in self.m:
            maps.append(pool(maps[-1]))
        return maps


@register_block(scaled())
class TinySPPCSPC(nn.Module):
    """SPPCSPC of yolov7-tiny: no convolutions around the pools.

    Args:
        c1: channels read.
        c2: channels returned.
        k: pooling kernels, odd.

    Shape:
        input (B, c1, H, W); output (B, c2, H, W).

    Source:
        Wang et al., YOLOv7, arXiv:2207.02696; nine rows of the authors' YAML. All pools read one map.
    """

    def __init__(self, c1: int, c2: int, k: Sequence[int] = (5, 9, 13)) -> None:
        super().__init__()
        self.cv1 = convolution(c1, c2)
        self.cv2 = convolution(c1, c2)
        self.m = nn.ModuleList(nn.MaxPool2d(size, 1, size // 2) for size in k)
        self.cv3 = convolution((1 + len(k)) * c2, c2)
        self.cv4 = convolution(2 * c2, c2)

    def forward(self, x: Tensor) -> Tensor:
        """Pool at several sizes, largest first, and join with the bypass."""
        inner = self.cv2(x)
        pooled = torch.cat([*(pool(inner) for pool in reversed(self.m)), inner], 1)  # type: ignore[call-overload]
        out: Tensor = self.cv4(torch.cat((self.cv3(pooled), self.cv1(x)), 1))
        return out

    @staticmethod
    def flat_units(*args: Any) -> list[str]:
        """Return what of the block is a row with weights in the original flat YAML, in its order."""
        return ["cv1", "cv2", "cv3", "cv4"]
