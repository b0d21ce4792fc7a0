"""RepVGG's block under the tensor names of its authors, and the stages that forks build of it."""

from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad
from torch.nn.utils.fusion import fuse_conv_bn_eval

from models.blocks.convolution import convolution, numbers_at_most
from models.catalog.channel_rules import Call, Reads, Scale, integer, scaled
from models.catalog.registry import register_block


def _branch(c1: int, c2: int, k: int, s: int, g: int) -> nn.Sequential:
    """Return a convolution and its normalisation, named conv and bn."""
    conv = nn.Conv2d(c1, c2, k, s, k // 2, groups=g, bias=False)
    return nn.Sequential(OrderedDict(conv=conv, bn=nn.BatchNorm2d(c2)))


class Branched(nn.Module):
    """A 3 × 3 convolution beside a 1 × 1 one and, if asked for, the identity; each normalised, summed, activated.

    Args:
        c1: channels read.
        c2: channels returned.
        s: stride.
        g: groups.
        act: activation.
        identity: whether the normalised input is added where shapes allow.

    Shape:
        input (B, c1, H, W); output (B, c2, H / s, W / s).

    Source:
        Ding et al., RepVGG, CVPR 2021, arXiv:2101.03697, fig. 4; authors' code DingXiaoH/RepVGG.
    """

    def __init__(
        self, c1: int, c2: int, s: int = 1, g: int = 1, act: nn.Module | None = None, *, identity: bool = True
    ) -> None:
        super().__init__()
        self.nonlinearity = act or nn.SiLU()
        self.rbr_identity = nn.BatchNorm2d(c1) if identity and c1 == c2 and s == 1 else None
        self.rbr_dense = _branch(c1, c2, 3, s, g)
        self.rbr_1x1 = _branch(c1, c2, 1, s, g)

    def forward(self, x: Tensor) -> Tensor:
        """Sum the branches, or run the merged convolution, and activate."""
        if hasattr(self, "rbr_reparam"):
            out: Tensor = self.nonlinearity(self.rbr_reparam(x))
            return out
        total = self.rbr_dense(x) + self.rbr_1x1(x)
        if self.rbr_identity is not None:
            total = total + self.rbr_identity(x)
        activated: Tensor = self.nonlinearity(total)
        return activated

    @torch.no_grad()
    def fuse(self) -> None:
        """Merge the branches into one convolution, in place; nothing happens the second time."""
        if hasattr(self, "rbr_reparam"):
            return
        dense: Any = self.rbr_dense
        narrow: Any = self.rbr_1x1
        merged: Any = fuse_conv_bn_eval(dense.conv, dense.bn)
        beside: Any = fuse_conv_bn_eval(narrow.conv, narrow.bn)
        merged.weight += pad(beside.weight, [1, 1, 1, 1])
        merged.bias += beside.bias
        norm: Any = self.rbr_identity
        if norm is not None:
            scale = norm.weight / (norm.running_var + norm.eps).sqrt()
            rows = torch.arange(len(scale), device=scale.device)
            merged.weight[rows, rows % merged.weight.shape[1], 1, 1] += scale
            merged.bias += norm.bias - norm.running_mean * scale
        self.rbr_reparam = merged
        del self.rbr_dense, self.rbr_1x1
        self.rbr_identity = None


@register_block(scaled(stride_at=2))
class RepVGGBlock(Branched):
    """RepVGG's block with SiLU, in rows `[c2, kernel, stride, padding, dilation, groups]`.

    Args:
        c1: channels read.
        c2: channels returned.
        k: kernel, 3.
        s: stride.
        p: padding, 1.
        d: dilation, 1.
        g: groups.

    Raises:
        ValueError: for another kernel, padding or dilation.
    """

    act: type[nn.Module] = nn.SiLU

    def __init__(self, c1: int, c2: int, k: int = 3, s: int = 1, p: int = 1, d: int = 1, g: int = 1) -> None:
        if (k, p, d) != (3, 1, 1):
            raise ValueError(f"kernel {k}, padding {p}, dilation {d}: this block has 3, 1 and 1")
        super().__init__(c1, c2, s, g, self.act())


@register_block(scaled(stride_at=2))
class RepVGGBlockv6(RepVGGBlock):
    """RepVGG's block with ReLU, as the authors and YOLOv6 have it."""

    act = nn.ReLU


def _rep_block(args: tuple[Any, ...], number: int, reads: Reads, scale: Scale) -> Call:
    """Read RepBlock rows `[c2]`; the number counts its blocks."""
    c1, stride = reads.one()
    numbers_at_most(args, 1, "channels")
    c2 = scale.channels(integer(args, 0, "channels"))
    return Call((c1, c2, number), c2, stride)


@register_block(_rep_block)
class RepBlock(nn.Module):
    """RepVGG's blocks one after the other: a stage of YOLOv6.

    Args:
        c1: channels read.
        c2: channels returned.
        n: how many blocks.

    Shape:
        input (B, c1, H, W); output (B, c2, H, W).

    Source:
        Li et al., YOLOv6, arXiv:2209.02976, fig. 3 (b).
    """

    def __init__(self, c1: int, c2: int, n: int = 1) -> None:
        super().__init__()
        self.conv1 = RepVGGBlockv6(c1, c2)
        self.block = nn.Sequential(*(RepVGGBlockv6(c2, c2) for _ in range(n - 1))) if n > 1 else None

    def forward(self, x: Tensor) -> Tensor:
        """Run the blocks."""
        x = self.conv1(x)
        return x if self.block is None else self.block(x)  # type: ignore[no-any-return]


class _Reversed(nn.Module):
    """RepVGG's branches without an identity, then a 3 × 3 convolution; added to the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = convolution(channels, channels, 3, act=nn.SiLU())
        self.conv2 = Branched(channels, channels, identity=False)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve and add."""
        out: Tensor = x + self.conv1(self.conv2(x))
        return out


@register_block(scaled(repeats=True))
class CSPStage(nn.Module):
    """A bypass and the outputs of every unit of a chain, joined.

    Args:
        c1: channels read.
        c2: channels returned.
        n: how many units.

    Shape:
        input (B, c1, H, W); output (B, c2, H, W).

    Source:
        Xu et al., DAMO-YOLO, arXiv:2211.15444, §2.2 (efficient RepGFPN); authors' code tinyvision/DAMO-YOLO.
    """

    def __init__(self, c1: int, c2: int, n: int = 1) -> None:
        super().__init__()
        first = c2 // 2
        middle = c2 - first
        self.conv1 = convolution(c1, first, act=nn.SiLU())
        self.conv2 = convolution(c1, middle, act=nn.SiLU())
        self.convs = nn.Sequential(*(_Reversed(middle) for _ in range(n)))
        self.conv3 = convolution(middle * n + first, c2, act=nn.SiLU())

    def forward(self, x: Tensor) -> Tensor:
        """Run the chain and join."""
        maps, inner = [self.conv1(x)], self.conv2(x)
        for unit in self.convs:
            inner = unit(inner)
            maps.append(inner)
        out: Tensor = self.conv3(torch.cat(maps, 1))
        return out
