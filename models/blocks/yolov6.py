"""Basic layers of YOLOv6, with ReLU, and YOLOv9's first row."""

import torch
from torch import Tensor, nn

from models.blocks.convolution import convolution
from models.catalog import torch_rules
from models.catalog.channel_rules import keep, scaled
from models.catalog.registry import register_block


@register_block(torch_rules.convolution)
class SimConv(nn.Module):
    """A convolution, normalisation and ReLU.

    Args:
        c1: channels read.
        c2: channels returned.
        k: kernel.
        s: stride.
        g: groups.
        bias: of the convolution.

    Shape:
        input (B, c1, H, W); output (B, c2, H / s, W / s).

    Source:
        Li et al., YOLOv6, arXiv:2209.02976; authors' code meituan/YOLOv6.
    """

    def __init__(self, c1: int, c2: int, k: int = 1, s: int = 1, g: int = 1, bias: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(c1, c2, k, s, k // 2, groups=g, bias=bias)
        self.bn = nn.BatchNorm2d(c2)
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Convolve."""
        out: Tensor = self.act(self.bn(self.conv(x)))
        return out


@register_block(scaled())
class SimSPPF(nn.Module):
    """YOLOv5's SPPF with ReLU.

    Args:
        c1: channels read.
        c2: channels returned.
        k: pooling kernel, odd.

    Shape:
        input (B, c1, H, W); output (B, c2, H, W).

    Source:
        Li et al., YOLOv6, arXiv:2209.02976; authors' code meituan/YOLOv6.
    """

    def __init__(self, c1: int, c2: int, k: int = 5) -> None:
        super().__init__()
        self.cv1 = convolution(c1, c1 // 2, act=nn.ReLU())
        self.cv2 = convolution(c1 // 2 * 4, c2, act=nn.ReLU())
        self.m = nn.MaxPool2d(k, 1, k // 2)

    def forward(self, x: Tensor) -> Tensor:
        """Pool three times in a row and join."""
        maps = [self.cv1(x)]
        for _ in range(3):
            maps.append(self.m(maps[-1]))
        out: Tensor = self.cv2(torch.cat(maps, 1))
        return out


@register_block(keep)
class Silence(nn.Module):
    """Return what it reads: YOLOv9's first row, which gives the image a number.

    Shape:
        input and output (B, C, H, W).

    Source:
        Wang et al., YOLOv9, arXiv:2402.13616; authors' code WongKinYiu/yolov9.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return the input."""
        return x
