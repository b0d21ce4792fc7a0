"""Decoupled heads on anchors: boxes, objectness and classes come from branches of their own.

Forks write several structures under one name; each is a class here, with the forks' tensor names.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.heads.yolov5 import AnchorHead
from models.heads.yolov7 import Implicit, PlainHead
from models.upstream.layers import Conv


class SplitHead(AnchorHead):
    """A head whose outputs for a level come from several convolutions.

    A subclass says which (`predictors`), what they predict (`parts`) and how that is arranged (`join`).
    """

    def __init__(
        self, nc: int, anchors: Sequence[Sequence[float]], ch: Sequence[int], strides: Sequence[float] | None = None
    ) -> None:
        super().__init__(nc, anchors, ())
        del self.m
        self.branches(list(ch[: self.nl]))
        if strides is not None:
            self.set_strides(torch.tensor(list(strides), dtype=torch.float32))

    def branches(self, ch: list[int]) -> None:
        """Construct what predicts from maps of these channels, one a level."""
        raise NotImplementedError

    def predictors(self, level: int) -> list[nn.Conv2d]:
        """Return the convolutions that make a level's outputs, in the order in which `join` takes them."""
        raise NotImplementedError

    def parts(self, level: int, x: Tensor) -> list[Tensor]:
        """Return the outputs of the predictors for a map, each (B, k · na, H, W)."""
        raise NotImplementedError

    def join(self, parts: Sequence[Tensor]) -> Tensor:
        """Arrange boxes, objectness and classes, each (B, k · na, H, W), as (B, na, 5 + nc, H, W)."""
        batch, _, height, width = parts[0].shape
        return torch.cat([part.view(batch, self.na, -1, height, width) for part in parts], 2)

    def raw(self, x: Sequence[Tensor]) -> list[Tensor]:
        """Run the branches: per level (B, na, H, W, 5 + nc) logits."""
        joined = [self.join(self.parts(level, map_)) for level, map_ in enumerate(x[: self.nl])]
        return [level.permute(0, 1, 3, 4, 2) for level in joined]

    @torch.no_grad()
    def bias_init(self) -> None:
        """Add the priors of Lin et al. (RetinaNet) §3.3 to whichever biases end up as objectness and classes."""
        for level, stride in enumerate(self.stride):
            biases: list[Tensor] = [conv.bias for conv in self.predictors(level)]  # type: ignore[misc]
            sizes = [len(bias) for bias in biases]
            numbered = torch.arange(sum(sizes)).view(1, -1, 1, 1).split(sizes, 1)
            place = self.join(numbered).view(self.na, self.no)  # which bias each output has
            prior = torch.zeros(sum(sizes))
            prior[place[:, 4]] = math.log(8 / (640 / float(stride)) ** 2)
            prior[place[:, 5:]] = math.log(0.6 / (self.nc - self.class_prior_offset))
            for bias, add in zip(biases, prior.split(sizes), strict=True):
                bias += add.to(bias)


class _WideBranches(nn.Module):
    """A stem, two branches of two convolutions each, and three predictors, all of 256 channels."""

    def __init__(self, c1: int, nc: int, na: int, width: int = 256) -> None:
        super().__init__()
        self.merge = Conv(c1, width, 1)
        self.cls_convs1 = Conv(width, width, 3)
        self.cls_convs2 = Conv(width, width, 3)
        self.reg_convs1 = Conv(width, width, 3)
        self.reg_convs2 = Conv(width, width, 3)
        self.cls_preds = nn.Conv2d(width, nc * na, 1)
        self.reg_preds = nn.Conv2d(width, 4 * na, 1)
        self.obj_preds = nn.Conv2d(width, na, 1)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return boxes, objectness and classes."""
        x = self.merge(x)
        boxes = self.reg_convs2(self.reg_convs1(x))
        classes = self.cls_convs2(self.cls_convs1(x))
        return [self.reg_preds(boxes), self.obj_preds(boxes), self.cls_preds(classes)]


class WideDecoupledHead(SplitHead):
    """Branches of 256 channels whatever the maps have: `Decoupled_Detect` of most forks of YOLOv5.

    Args, Shape:
        as AnchorHead.

    Source:
        Ge et al., YOLOX, arXiv:2107.08430, fig. 2, as forks put it on anchors. They join boxes, objectness and classes
        of all anchors before they cut the channels by anchor, so that a branch's channels serve other outputs than
        their names say; kept, because their checkpoints are trained so.
    """

    def branches(self, ch: list[int]) -> None:
        """Construct the branches."""
        self.m = nn.ModuleList(_WideBranches(c, self.nc, self.na) for c in ch)

    def predictors(self, level: int) -> list[nn.Conv2d]:
        """Return the convolutions of boxes, objectness and classes."""
        branches = self.m[level]
        return [branches.reg_preds, branches.obj_preds, branches.cls_preds]  # type: ignore[list-item]

    def parts(self, level: int, x: Tensor) -> list[Tensor]:
        """Run a level's branches."""
        parts: list[Tensor] = self.m[level](x)
        return parts

    def join(self, parts: Sequence[Tensor]) -> Tensor:
        """Join all channels and then cut them by anchor."""
        joined = torch.cat(list(parts), 1)
        return joined.view(joined.shape[0], self.na, self.no, *joined.shape[2:])


class _TaperedBranches(nn.Module):
    """A stem, a branch of boxes and objectness that narrows from convolution to convolution, and one of classes."""

    def __init__(self, c1: int, nc: int, na: int) -> None:
        super().__init__()
        width, least = min(c1, 256), 5 * na
        # Two of four numbers evenly from the width down to the outputs, as single precision rounds them.
        first, second = (int(x + least) for x in ((width - least) * torch.linspace(1, 0, 4))[1:3])
        self.a = Conv(c1, width, 1)
        self.b1, self.b2, self.b3 = Conv(width, first, 3), Conv(first, second, 3), nn.Conv2d(second, least, 1)
        self.c1, self.c2, self.c3 = Conv(width, width, 1), Conv(width, width, 1), nn.Conv2d(width, na * nc, 1)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return boxes with objectness, and classes."""
        x = self.a(x)
        return [self.b3(self.b2(self.b1(x))), self.c3(self.c2(self.c1(x)))]


class TaperedDecoupledHead(SplitHead):
    """YOLOv5's `Decouple`: a light branch of classes, and one of boxes and objectness that narrows.

    Args, Shape:
        as AnchorHead.

    Source:
        Published with YOLOv5 (branch `update/decouple`).
    """

    def branches(self, ch: list[int]) -> None:
        """Construct the branches."""
        self.m = nn.ModuleList(_TaperedBranches(c, self.nc, self.na) for c in ch)

    def predictors(self, level: int) -> list[nn.Conv2d]:
        """Return the convolutions of boxes with objectness, and of classes."""
        return [self.m[level].b3, self.m[level].c3]  # type: ignore[list-item]

    def parts(self, level: int, x: Tensor) -> list[Tensor]:
        """Run a level's branches."""
        parts: list[Tensor] = self.m[level](x)
        return parts


class StemDecoupledHead(SplitHead):
    """A stem, one convolution for classes and one for boxes and objectness, each as wide as its map.

    Args, Shape:
        as AnchorHead.

    Source:
        `IDetect_Decoupled` of forks of YOLOv7 without its implicit parameters; some forks of YOLOv5 call it
        `Decoupled_Detect`.
    """

    def branches(self, ch: list[int]) -> None:
        """Construct the branches."""
        na = self.na
        self.m_stem = nn.ModuleList(Conv(c, c, 1) for c in ch)
        self.m_cls = nn.ModuleList(nn.Sequential(Conv(c, c, 3), nn.Conv2d(c, na * self.nc, 1)) for c in ch)
        self.m_reg_conf = nn.ModuleList(Conv(c, c, 3) for c in ch)
        self.m_reg = nn.ModuleList(nn.Conv2d(c, na * 4, 1) for c in ch)
        self.m_conf = nn.ModuleList(nn.Conv2d(c, na, 1) for c in ch)

    def predictors(self, level: int) -> list[nn.Conv2d]:
        """Return the convolutions of boxes, objectness and classes."""
        return [self.m_reg[level], self.m_conf[level], self.m_cls[level][1]]  # type: ignore[list-item,index]

    def parts(self, level: int, x: Tensor) -> list[Tensor]:
        """Run a level's branches."""
        x = self.m_stem[level](x)
        inner = self.m_reg_conf[level](x)
        return [self.m_reg[level](inner), self.m_conf[level](inner), self.m_cls[level](x)]


class ImplicitDecoupledHead(StemDecoupledHead, PlainHead):
    """StemDecoupledHead with implicit knowledge: an addition before each branch, a factor after it; YOLOv7's loss.

    Args, Shape:
        as AnchorHead.

    Source:
        `IDetect_Decoupled` of forks of YOLOv7; implicit knowledge is Wang et al., YOLOR, arXiv:2105.04206.
    """

    def branches(self, ch: list[int]) -> None:
        """Construct the branches and their implicit parameters."""
        super().branches(ch)
        for kind, outputs in (("cls", self.nc), ("reg", 4), ("conf", 1)):
            self.add_module(f"ia_{kind}", nn.ModuleList(Implicit(c, 0.0) for c in ch))
            self.add_module(f"im_{kind}", nn.ModuleList(Implicit(outputs * self.na, 1.0) for _ in ch))

    def _value(self, name: str, level: int) -> Tensor:
        value: Tensor = self.get_submodule(f"{name}.{level}").implicit  # type: ignore[assignment]
        return value

    def parts(self, level: int, x: Tensor) -> list[Tensor]:
        """Run a level's branches."""
        x = self.m_stem[level](x)
        inner = self.m_reg_conf[level](x)
        boxes = self.m_reg[level](inner + self._value("ia_reg", level)) * self._value("im_reg", level)
        objects = self.m_conf[level](inner + self._value("ia_conf", level)) * self._value("im_conf", level)
        classes = self.m_cls[level](x + self._value("ia_cls", level)) * self._value("im_cls", level)
        return [boxes, objects, classes]
