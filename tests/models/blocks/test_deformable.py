"""Deformable convolutions against their definition, position by position, and what cannot hold them."""

from typing import Any

import pytest
import torch
from torch import Tensor

from engine.errors import UsageError
from engine.export.run import _check_layers
from models.blocks.deformable import DCNv2, DeformConv
from models.network.detector import Detector
from models.spec.model_spec import read_spec
from tests.models.blocks.rows import description
from tests.models.blocks.values import maps, normed, trained
from tests.models.heads.test_dyhead import sampled


def expected(x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, stride: int) -> Tensor:
    """Convolve 3 × 3 at moved places, each times its mask."""
    out = torch.zeros(1, len(weight), *offset.shape[2:], dtype=x.dtype)
    for i in range(offset.shape[2]):
        for j in range(offset.shape[3]):
            for k in range(9):
                row = i * stride - 1 + k // 3 + offset[0, 2 * k, i, j].item()
                column = j * stride - 1 + k % 3 + offset[0, 2 * k + 1, i, j].item()
                out[0, :, i, j] += weight[:, :, k // 3, k % 3] @ sampled(x[0], row, column) * mask[0, k, i, j]
    return out


@pytest.mark.parametrize("stride", [1, 2])
def test_deformable(stride: int) -> None:
    (x,) = maps(1, 4, 6, 4)
    block = trained(DeformConv(4, 6, 3, stride))
    offset = block.offsets(x)
    y = expected(x, offset, torch.ones_like(offset[:, :9]), block.deform_conv.weight, stride)
    y = normed(y, block.bn)
    torch.testing.assert_close(block(x), y * torch.sigmoid(y))


@pytest.mark.parametrize("stride", [1, 2])
def test_modulated(stride: int) -> None:
    (x,) = maps(1, 4, 6, 4)
    block = trained(DCNv2(4, 6, 3, stride))
    both = block.conv_offset_mask(x)
    y = expected(x, both[:, :18], torch.sigmoid(both[:, 18:]), block.weight, stride) + block.bias.view(-1, 1, 1)
    y = normed(y, block.bn)
    torch.testing.assert_close(block(x), y * torch.sigmoid(y))


def test_export_says_which_format_cannot_hold_it() -> None:
    detector: Any = Detector(read_spec(description([-1, 1, "DCNv2", [48, 3, 2]])))
    for name in ("onnx", "openvino"):
        with pytest.raises(UsageError, match=rf"--include {name}: model.2 is a deformable convolution.*torchscript"):
            _check_layers(detector, name)
    _check_layers(detector, "torchscript")
