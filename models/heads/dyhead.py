"""Dynamic head: attention over levels, positions and tasks before the output convolutions."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from models.heads.yolov5 import AnchorHead

_BLOCKS = 2
_GROUPS = 16  # of the normalisations


class DeformableNorm(nn.Module):
    """A modulated deformable 3 × 3 convolution with group normalisation.

    Args:
        channels: C of input and output, a multiple of 16.
        stride: of the output.

    Shape:
        input (B, C, H, W), offsets (B, 18, h, w) and masks (B, 9, h, w) of the output's size; output (B, C, h, w).

    Source:
        Zhu et al., Deformable ConvNets v2, CVPR 2019, arXiv:1811.11168.
    """

    not_in_onnx = "is a deformable convolution, which PyTorch writes into no ONNX file"

    def __init__(self, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.conv = nn.Conv2d(channels, channels, 3, stride, 1, bias=False)  # holds the weight
        self.norm = nn.GroupNorm(_GROUPS, channels)

    def forward(self, x: Tensor, offset: Tensor, mask: Tensor) -> Tensor:
        """Convolve at the places that the offsets name, and normalise."""
        from torchvision.ops import deform_conv2d

        size = [-(-side // self.stride) for side in x.shape[-2:]]
        if list(offset.shape[-2:]) != size:  # a coarser neighbour: its cells take the offsets of the cells they cover
            offset, mask = (interpolate(value, size=size, mode="nearest") for value in (offset, mask))
        moved = deform_conv2d(x, offset.to(x), self.conv.weight, None, self.stride, 1, mask=mask.to(x))
        out: Tensor = self.norm(moved)
        return out


class DynamicReLU(nn.Module):
    """The larger of two linear functions for each channel, whose slopes and offsets come from the map's means.

    Args:
        channels: C of input and output.

    Shape:
        input and output (B, C, H, W).

    Source:
        Chen et al., Dynamic ReLU, ECCV 2020, arXiv:2003.10027, eqs. 3–4, with the ranges of DyHead's authors.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.fc = nn.Sequential(
            nn.Linear(channels, channels // 4), nn.ReLU(), nn.Linear(channels // 4, 4 * channels), nn.Hardsigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        """Apply."""
        coefficients = self.fc(x.mean((2, 3))).view(-1, 4, self.channels, 1, 1) - 0.5
        slope_1, offset_1, slope_2, offset_2 = coefficients.unbind(1)
        return torch.maximum(x * (2 * slope_1 + 1) + offset_1, x * (2 * slope_2) + offset_2)


class DyHeadBlock(nn.Module):
    """Weigh levels, sample positions, and activate by task.

    Args:
        channels: C of every map, a multiple of 16.

    Shape:
        input and output: list of (B, C, H_i, W_i), finest first.

    Source:
        Dai et al., Dynamic Head, CVPR 2021, arXiv:2106.08322, fig. 3; tensor names as in MMDetection. Differs: a
        coarser neighbour takes the offsets of the cells that it covers, where the authors' kernel reads the first
        values of a larger array.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.spatial_conv_high = DeformableNorm(channels)
        self.spatial_conv_mid = DeformableNorm(channels)
        self.spatial_conv_low = DeformableNorm(channels, 2)
        self.spatial_conv_offset = nn.Conv2d(channels, 27, 3, padding=1)
        self.scale_attn_module = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, 1, 1), nn.ReLU(), nn.Hardsigmoid()
        )
        self.task_attn_module = DynamicReLU(channels)
        for conv in self.modules():
            if isinstance(conv, nn.Conv2d):
                nn.init.normal_(conv.weight, 0, 0.01)
                if conv.bias is not None:
                    nn.init.zeros_(conv.bias)
        nn.init.zeros_(self.spatial_conv_offset.weight)

    def forward(self, x: Sequence[Tensor]) -> list[Tensor]:
        """Attend."""
        out = []
        for level, here in enumerate(x):
            offset, mask = self.spatial_conv_offset(here).split((18, 9), 1)
            mask = mask.sigmoid()
            seen = [self.spatial_conv_mid(here, offset, mask)]
            if level > 0:
                seen.append(self.spatial_conv_low(x[level - 1], offset, mask))
            if level < len(x) - 1:
                coarse = self.spatial_conv_high(x[level + 1], offset, mask)
                seen.append(interpolate(coarse, size=here.shape[-2:], mode="bilinear", align_corners=True))
            total = seen[0] * self.scale_attn_module(seen[0])
            for other in seen[1:]:
                total = total + other * self.scale_attn_module(other)
            out.append(self.task_attn_module(total / len(seen)))
        return out


class DyHead(AnchorHead):
    """AnchorHead on maps that two dynamic head blocks have attended.

    Args:
        nc: number of classes.
        anchors: per level, width and height in pixels of `na` anchors, flat.
        ch: channels of the maps read, finest first: all equal, a multiple of 16.
        strides: pixels of the image a cell, per level.

    Shape:
        as AnchorHead.

    Raises:
        ValueError: for other channels.

    Source:
        Dai et al., Dynamic Head, CVPR 2021, arXiv:2106.08322, as forks of YOLOv5 put it before `Detect` (`dyhead`).
    """

    def __init__(
        self, nc: int, anchors: Sequence[Sequence[float]], ch: Sequence[int], strides: Sequence[float] | None = None
    ) -> None:
        if len(set(ch)) != 1 or ch[0] % _GROUPS:
            raise ValueError(
                f"reads maps of {', '.join(map(str, ch))} channels, expected equal multiples of {_GROUPS}: put a Conv "
                "of one width before each"
            )
        super().__init__(nc, anchors, ch, strides)
        self.dyhead = nn.Sequential(*(DyHeadBlock(ch[0]) for _ in range(_BLOCKS)))

    def raw(self, x: Sequence[Tensor]) -> list[Tensor]:
        """Attend, then run the output convolutions: per level (B, na, H, W, 5 + nc) logits."""
        return super().raw(self.dyhead(list(x)))
