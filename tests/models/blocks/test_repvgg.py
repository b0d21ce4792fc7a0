"""RepVGG's block and stages of it, against their definitions, and merged."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from models.blocks.repvgg import CSPStage, RepBlock, RepVGGBlock, RepVGGBlockv6
from models.blocks.yolov6 import Silence, SimConv, SimSPPF
from tests.models.blocks.values import maps, normed, trained


def silu(x: Tensor) -> Tensor:
    """x · σ(x)."""
    return x * torch.sigmoid(x)


def summed(block: Any, x: Tensor, stride: int = 1) -> Tensor:
    """Sum the branches by definition."""
    dense = normed(conv2d(x, block.rbr_dense.conv.weight, stride=stride, padding=1), block.rbr_dense.bn)
    total = dense + normed(conv2d(x, block.rbr_1x1.conv.weight, stride=stride), block.rbr_1x1.bn)
    return total + normed(x, block.rbr_identity) if block.rbr_identity is not None else total


@pytest.mark.parametrize(("c2", "stride"), [(4, 1), (6, 1), (4, 2)])
def test_block_and_its_merged_form(c2: int, stride: int) -> None:
    (x,) = maps(2, 4, 6, 6)
    for cls in (RepVGGBlock, RepVGGBlockv6):
        block = trained(cls(4, c2, 3, stride))
        assert (block.rbr_identity is not None) == (c2 == 4 and stride == 1)
        total = summed(block, x, stride)
        expected = silu(total) if cls is RepVGGBlock else total.clamp(min=0)
        torch.testing.assert_close(block(x), expected)
        block.fuse()
        block.fuse()
        assert [name for name, _ in block.named_parameters()] == ["rbr_reparam.weight", "rbr_reparam.bias"]
        torch.testing.assert_close(block(x), expected)


def test_other_kernels() -> None:
    with pytest.raises(ValueError, match="kernel 5, padding 1, dilation 1: this block has 3, 1 and 1"):
        RepVGGBlock(4, 4, 5)


def test_stage_of_yolov6() -> None:
    block = trained(RepBlock(4, 6, 3))
    (x,) = maps(1, 4, 5, 5)
    for part in (block.conv1, *block.block):
        x = summed(part, x).clamp(min=0)
    torch.testing.assert_close(block(maps(1, 4, 5, 5)[0]), x)
    assert RepBlock(4, 6).block is None


def test_stage_of_damo_yolo_joins_every_unit() -> None:
    block = trained(CSPStage(4, 10, 2))
    (x,) = maps(1, 4, 5, 5)
    inner = block.conv2(x)
    joined = [block.conv1(x)]
    for unit in block.convs:
        assert unit.conv2.rbr_identity is None
        conv = unit.conv1
        inner = inner + silu(normed(conv2d(silu(summed(unit.conv2, inner)), conv.conv.weight, padding=1), conv.bn))
        joined.append(inner)
    torch.testing.assert_close(block(x), block.conv3(torch.cat(joined, 1)))


def test_layers_of_yolov6() -> None:
    (x,) = maps(1, 4, 12, 12)
    conv = trained(SimConv(4, 6, 3, 2))
    expected = normed(conv2d(x, conv.conv.weight, stride=2, padding=1), conv.bn).clamp(min=0)
    torch.testing.assert_close(conv(x), expected)
    pool = trained(SimSPPF(4, 6))
    inner = normed(pool.cv1.conv(x), pool.cv1.bn).clamp(min=0)
    pooled = [nn.functional.max_pool2d(inner, k, 1, k // 2) for k in (5, 9, 13)]
    joined = torch.cat([inner, *pooled], 1)
    torch.testing.assert_close(pool(x), normed(pool.cv2.conv(joined), pool.cv2.bn).clamp(min=0))
    assert Silence()(x) is x
