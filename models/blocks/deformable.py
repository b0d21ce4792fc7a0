"""Convolutions that sample where the map tells them to."""

from typing import Any

import torch
from torch import Tensor, nn

from models.catalog.channel_rules import scaled
from models.catalog.registry import register_block

_NOT_IN_ONNX = "is a deformable convolution, which PyTorch writes into no ONNX file"


class _Sampled(nn.Module):
    """The weight of a deformable convolution, under the names of torchvision's layer."""

    def __init__(self, c1: int, c2: int, k: int, s: int, p: int, g: int, bias: bool) -> None:
        super().__init__()
        like = nn.Conv2d(c1, c2, k, s, p, groups=g, bias=bias)
        self.weight, self.bias = like.weight, like.bias
        self.stride, self.padding = s, p

    def forward(self, x: Tensor, offset: Tensor, mask: Tensor | None = None) -> Tensor:
        """Convolve at the places that the offsets name, in cells: row and column for each place of the kernel."""
        from torchvision.ops import deform_conv2d

        mask = None if mask is None else mask.to(x)
        out: Tensor = deform_conv2d(x, offset.to(x), self.weight, self.bias, self.stride, self.padding, mask=mask)
        return out


def _activation(act: Any) -> nn.Module:
    if act is True:
        return nn.SiLU()
    return act if isinstance(act, nn.Module) else nn.Identity()


@register_block(scaled(stride_at=2))
class DeformConv(nn.Module):
    """A deformable convolution with normalisation and activation.

    Args:
        c1: channels read.
        c2: channels returned.
        k: kernel.
        s: stride.
        p: padding, half the kernel by default.
        g: groups, which share no offsets.
        act: SiLU (True), none (False), or a module.

    Shape:
        input (B, c1, H, W); output (B, c2, H / s, W / s).

    Source:
        Dai et al., Deformable Convolutional Networks, ICCV 2017, arXiv:1703.06211; published with forks of YOLOv7,
        whose offsets come from a convolution without bias.
    """

    not_in_onnx = _NOT_IN_ONNX

    def __init__(
        self, c1: int, c2: int, k: int = 1, s: int = 1, p: int | None = None, g: int = 1, act: bool | nn.Module = True
    ) -> None:
        super().__init__()
        padding = k // 2 if p is None else p
        self.offsets = nn.Conv2d(c1, g * 2 * k * k, k, s, padding, groups=g, bias=False)
        self.deform_conv = _Sampled(c1, c2, k, s, padding, g, bias=False)
        self.bn = nn.BatchNorm2d(c2)
        self.act = _activation(act)

    def forward(self, x: Tensor) -> Tensor:
        """Predict offsets and convolve."""
        out: Tensor = self.act(self.bn(self.deform_conv(x, self.offsets(x))))
        return out


@register_block(scaled(stride_at=2))
class DCNv2(nn.Module):
    """A modulated deformable convolution with normalisation and activation.

    Args:
        c1: channels read.
        c2: channels returned.
        k: kernel.
        s: stride.
        p: padding, half the kernel by default.
        g: groups.
        d: dilation.
        act: SiLU (True), none (False), or a module.

    Shape:
        input (B, c1, H, W); output (B, c2, H / s, W / s).

    Source:
        Zhu et al., Deformable ConvNets v2, CVPR 2019, arXiv:1811.11168, eq. 1; offsets and masks come from one
        convolution that starts at 0, with the tensor names of forks of YOLO.
    """

    not_in_onnx = _NOT_IN_ONNX

    def __init__(
        self,
        c1: int,
        c2: int,
        k: int = 3,
        s: int = 1,
        p: int | None = None,
        g: int = 1,
        d: int = 1,
        act: bool | nn.Module = True,
    ) -> None:
        super().__init__()
        padding, self.places = (d * (k - 1) + 1) // 2 if p is None else p, k * k
        like = nn.Conv2d(c1, c2, k, groups=g)
        assert like.bias is not None  # noqa: S101 - constructed with one; tells the type checker
        self.weight, self.bias = like.weight, nn.Parameter(torch.zeros_like(like.bias))
        self.stride, self.padding, self.dilation = s, padding, d
        self.conv_offset_mask = nn.Conv2d(c1, 3 * k * k, k, s, padding, d)
        nn.init.zeros_(self.conv_offset_mask.weight)
        nn.init.zeros_(self.conv_offset_mask.bias)  # type: ignore[arg-type]
        self.bn = nn.BatchNorm2d(c2)
        self.act = _activation(act)

    def forward(self, x: Tensor) -> Tensor:
        """Predict offsets and masks, and convolve."""
        from torchvision.ops import deform_conv2d

        offset, mask = self.conv_offset_mask(x).split((2 * self.places, self.places), 1)
        mask = mask.sigmoid()
        size = self.stride, self.padding, self.dilation
        moved = deform_conv2d(x, offset.to(x), self.weight, self.bias, *size, mask=mask.to(x))
        out: Tensor = self.act(self.bn(moved))
        return out
