"""The dynamic head against its definition."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import group_norm, interpolate, pad

from models.heads.dyhead import DeformableNorm, DyHead, DyHeadBlock, DynamicReLU
from tests.models.blocks.values import maps, trained


def sampled(x: Tensor, row: float, column: float) -> Tensor:
    """Interpolate (C, H, W) at a place, with zeros outside."""
    top, left = int(row // 1), int(column // 1)
    out = torch.zeros(x.shape[0], dtype=x.dtype)
    for r, c in ((top, left), (top, left + 1), (top + 1, left), (top + 1, left + 1)):
        if 0 <= r < x.shape[1] and 0 <= c < x.shape[2]:
            out = out + (1 - abs(row - r)) * (1 - abs(column - c)) * x[:, r, c]
    return out


@pytest.mark.parametrize("stride", [1, 2])
def test_modulated_deformable_convolution(stride: int) -> None:
    layer = trained(DeformableNorm(16, stride))
    height, width = 5, 4
    h, w = -(-height // stride), -(-width // stride)
    (x,), (offset,), (mask,) = maps(1, 16, height, width), maps(1, 18, h, w), maps(1, 9, h, w)
    out = torch.zeros(1, 16, h, w, dtype=x.dtype)
    for i in range(h):
        for j in range(w):
            for k in range(9):
                row = i * stride - 1 + k // 3 + offset[0, 2 * k, i, j].item()
                column = j * stride - 1 + k % 3 + offset[0, 2 * k + 1, i, j].item()
                value = sampled(x[0], row, column) * mask[0, k, i, j]
                out[0, :, i, j] += layer.conv.weight[:, :, k // 3, k % 3] @ value
    expected = group_norm(out, 16, layer.norm.weight, layer.norm.bias)
    torch.testing.assert_close(layer(x, offset, mask), expected)


def test_dynamic_relu() -> None:
    layer = trained(DynamicReLU(8))
    (x,) = maps(2, 8, 3, 4)
    first, _, second, _ = layer.fc
    theta = ((second(first(x.mean((2, 3))).clamp(min=0)) + 3) / 6).clamp(0, 1) - 0.5
    a1, b1, a2, b2 = (theta[:, 8 * i : 8 * i + 8, None, None] for i in range(4))
    torch.testing.assert_close(layer(x), torch.maximum((1 + 2 * a1) * x + b1, 2 * a2 * x + b2))


def test_block_at_its_start_is_plain_convolutions() -> None:
    # Offsets are 0 and masks one half, so that neighbours need no offsets of their own.
    block: Any = trained(DyHeadBlock(16))
    nn.init.zeros_(block.spatial_conv_offset.weight)
    nn.init.zeros_(block.spatial_conv_offset.bias)
    x = [*maps(1, 16, 8, 8), *maps(1, 16, 4, 4), *maps(1, 16, 2, 2)]

    def convolved(layer: Any, map_: Tensor) -> Tensor:
        y = nn.functional.conv2d(pad(map_, (1, 1, 1, 1)), layer.conv.weight, stride=layer.stride) / 2
        return group_norm(y, 16, layer.norm.weight, layer.norm.bias)

    def scaled(map_: Tensor) -> Tensor:
        _, conv, _, _ = block.scale_attn_module
        mean = map_.mean((2, 3), keepdim=True)
        return map_ * ((conv(mean).clamp(min=0) + 3) / 6).clamp(0, 1)

    for level, out in enumerate(block(x)):
        seen = [convolved(block.spatial_conv_mid, x[level])]
        if level:
            seen.append(convolved(block.spatial_conv_low, x[level - 1]))
        if level < 2:
            coarse = convolved(block.spatial_conv_high, x[level + 1])
            seen.append(interpolate(coarse, size=x[level].shape[2:], mode="bilinear", align_corners=True))
        total = sum(scaled(map_) for map_ in seen) / len(seen)
        torch.testing.assert_close(out, block.task_attn_module(total))


def test_maps_of_other_widths() -> None:
    anchors = [[1, 2], [3, 4]]
    with pytest.raises(ValueError, match="reads maps of 16, 32 channels, expected equal multiples of 16: put a Conv"):
        DyHead(2, anchors, [16, 32])
