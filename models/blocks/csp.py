"""Cross stage partial blocks between YOLOv4 and YOLOv7 that differ in where the branches start and end.

Their arguments mean the same, and each says what differs: c1 channels read, c2 channels returned, n bottlenecks, which
add their input where `shortcut` is true and have g groups in their 3 × 3 convolutions; e is the width of the branches
over c2. All read (B, c1, H, W) and return (B, c2, H, W).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.blocks.c3 import C3Branches
from models.blocks.convolution import bottlenecks, convolution
from models.catalog.channel_rules import scaled
from models.catalog.registry import register_block


@register_block(scaled(repeats=True))
class C3C2(nn.Module):
    """One convolution feeds both branches: activated into bottlenecks, and as it is past them.

    Args:
        g: of the first convolution too.

    Source:
        Wang et al., CSPNet, CVPRW 2020, arXiv:1911.11929; published with YOLOAir. Mish ends it, SiLU is inside.
    """

    def __init__(self, c1: int, c2: int, n: int = 1, shortcut: bool = True, g: int = 1, e: float = 0.5) -> None:
        super().__init__()
        hidden = int(c2 * e)
        self.conv = nn.Conv2d(c1, hidden, 1, groups=g, bias=False)
        self.bn = nn.BatchNorm2d(hidden)
        self.act = nn.SiLU()
        self.cv1 = convolution(2 * hidden, c2, act=nn.Mish())
        self.m = bottlenecks(hidden, n, shortcut, g)

    def forward(self, x: Tensor) -> Tensor:
        """Run both branches and join them."""
        y = self.conv(x)
        out: Tensor = self.cv1(torch.cat((self.m(self.act(self.bn(y))), y), 1))
        return out


@register_block(scaled(repeats=True))
class BottleneckCSPF(nn.Module):
    """BottleneckCSP without the convolution after the bottlenecks.

    Source:
        Wang et al., Scaled-YOLOv4, CVPR 2021, arXiv:2011.08036, and YOLOR, arXiv:2105.04206; authors' code. SiLU as in
        YOLOR.
    """

    def __init__(self, c1: int, c2: int, n: int = 1, shortcut: bool = True, g: int = 1, e: float = 0.5) -> None:
        super().__init__()
        hidden = int(c2 * e)
        self.cv1 = convolution(c1, hidden)
        self.cv2 = nn.Conv2d(c1, hidden, 1, bias=False)
        self.cv4 = convolution(2 * hidden, c2)
        self.bn = nn.BatchNorm2d(2 * hidden)
        self.act = nn.SiLU()
        self.m = bottlenecks(hidden, n, shortcut, g)

    def forward(self, x: Tensor) -> Tensor:
        """Run both branches and join them."""
        joined = torch.cat((self.m(self.cv1(x)), self.cv2(x)), 1)
        out: Tensor = self.cv4(self.act(self.bn(joined)))
        return out


@register_block(scaled(repeats=True))
class BottleneckCSP2(nn.Module):
    """Both branches start at one convolution of full width.

    Args:
        e: ignored, as in the original.

    Source:
        Wang et al., Scaled-YOLOv4, CVPR 2021, arXiv:2011.08036; authors' code. Mish throughout, as there; YOLOR's copy
        has SiLU.
    """

    def __init__(self, c1: int, c2: int, n: int = 1, shortcut: bool = False, g: int = 1, e: float = 0.5) -> None:
        super().__init__()
        self.act = nn.Mish()
        self.cv1 = convolution(c1, c2, act=self.act)
        self.cv2 = nn.Conv2d(c2, c2, 1, bias=False)
        self.cv3 = convolution(2 * c2, c2, act=self.act)
        self.bn = nn.BatchNorm2d(2 * c2)
        self.m = bottlenecks(c2, n, shortcut, g, self.act)

    def forward(self, x: Tensor) -> Tensor:
        """Run both branches and join them."""
        x = self.cv1(x)
        joined = torch.cat((self.m(x), self.cv2(x)), 1)
        out: Tensor = self.cv3(self.act(self.bn(joined)))
        return out


@register_block(scaled(repeats=True))
class SPPCSP(nn.Module):
    """Spatial pyramid pooling beside a bypass, normalised after they are joined.

    Args:
        n, shortcut, g: ignored, as in the original.
        e: the hidden width is int(2 · c2 · e).
        k: pooling kernels, odd.

    Source:
        Wang et al., Scaled-YOLOv4, CVPR 2021, arXiv:2011.08036; authors' code. Mish throughout, as there.
    """

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
        hidden, mish = int(2 * c2 * e), nn.Mish()
        self.cv1 = convolution(c1, hidden, act=mish)
        self.cv2 = nn.Conv2d(c1, hidden, 1, bias=False)
        self.cv3 = convolution(hidden, hidden, 3, act=mish)
        self.cv4 = convolution(hidden, hidden, act=mish)
        self.m = nn.ModuleList(nn.MaxPool2d(size, 1, size // 2) for size in k)
        self.cv5 = convolution((1 + len(k)) * hidden, hidden, act=mish)
        self.cv6 = convolution(hidden, hidden, 3, act=mish)
        self.bn = nn.BatchNorm2d(2 * hidden)
        self.act = mish
        self.cv7 = convolution(2 * hidden, c2, act=mish)

    def forward(self, x: Tensor) -> Tensor:
        """Pool at several sizes and join with the bypass."""
        inner = self.cv4(self.cv3(self.cv1(x)))
        pooled = torch.cat([inner, *(pool(inner) for pool in self.m)], 1)
        joined = torch.cat((self.cv6(self.cv5(pooled)), self.cv2(x)), 1)
        out: Tensor = self.cv7(self.act(self.bn(joined)))
        return out


@register_block(scaled(repeats=True))
class NarrowC3(C3Branches):
    """C3 with bottlenecks of e 0.5 instead of 1, which C3CBAM, C3SE and their like have in most forks.

    Args:
        c1, c2, e: as C3Branches.
        n: how many bottlenecks.
        shortcut: whether they add their input.
        g: groups of their 3 × 3 convolutions; the forks' classes take it and leave it at 1, and so does this one.

    Source:
        Jocher et al., YOLOv5 (C3); the width inside is Bottleneck's default, which forks' C3CBAM, C3SE, C3CA keep.
    """

    def __init__(self, c1: int, c2: int, n: int = 1, shortcut: bool = True, g: int = 1, e: float = 0.5) -> None:
        from models.upstream.layers import block

        super().__init__(c1, c2, e)
        units = (block.Bottleneck(self.hidden, self.hidden, shortcut, 1, k=((1, 1), (3, 3)), e=0.5) for _ in range(n))
        self.m = nn.Sequential(*units)
