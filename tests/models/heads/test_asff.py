"""Heads on adaptively fused levels, against their definition."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from models.heads.asff import ASFFHead, Fusion, SequentialASFFHead
from tests.models.blocks.values import maps, trained

ANCHORS = [[10, 13, 16, 30], [30, 61, 62, 45], [116, 90, 156, 198]]
CHANNELS = [4, 6, 8]  # finest first


def read() -> list[Tensor]:
    return [*maps(2, 4, 8, 12), *maps(2, 6, 4, 6), *maps(2, 8, 2, 3)]


def enlarged(x: Tensor, factor: int) -> Tensor:
    return x.repeat_interleave(factor, 2).repeat_interleave(factor, 3)


def fused(fusion: Any, fine: Tensor, middle: Tensor, coarse: Tensor) -> Tensor:
    """Weigh the three levels at the size of the fusion's own, by definition."""
    if fusion.level == 0:
        resized = [coarse, fusion.stride_level_1(middle), fusion.stride_level_2(max_pool2d(fine, 3, 2, 1))]
    elif fusion.level == 1:
        resized = [enlarged(fusion.compress_level_0(coarse), 2), middle, fusion.stride_level_2(fine)]
    else:
        compressed = fusion.compress_level_0(coarse), fusion.compress_level_1(middle)
        resized = [enlarged(compressed[0], 4), enlarged(compressed[1], 2), fine]
    read_by = (fusion.weight_level_0, fusion.weight_level_1, fusion.weight_level_2)
    logits = fusion.weight_levels(torch.cat([weigh(x) for weigh, x in zip(read_by, resized, strict=True)], 1))
    exp = logits.exp()
    weights = exp / exp.sum(1, keepdim=True)
    return fusion.expand(sum(weights[:, i, None] * x for i, x in enumerate(resized)))  # type: ignore[no-any-return]


def test_fused_maps_of_all_levels() -> None:
    head: Any = trained(ASFFHead(2, ANCHORS, CHANNELS, [8, 16, 32]))
    fine, middle, coarse = read()
    for i, level in enumerate((2, 1, 0)):
        fusion: Fusion = head.get_submodule(f"l{level}_fusion")
        expected = head.m[i](fused(fusion, fine, middle, coarse))
        torch.testing.assert_close(head.raw(read())[i], expected.unflatten(1, (2, 7)).permute(0, 1, 3, 4, 2))


def test_sequential_fusion_reads_what_is_fused_already() -> None:
    head: Any = trained(SequentialASFFHead(2, ANCHORS, CHANNELS, [8, 16, 32]))
    fine, middle, coarse = read()
    coarse = fused(head.asffs[0], fine, middle, coarse)
    middle = fused(head.asffs[1], fine, middle, coarse)
    fine = fused(head.asffs[2], fine, middle, coarse)
    for conv, x, out in zip(head.m, (fine, middle, coarse), head.raw(read()), strict=True):
        torch.testing.assert_close(out, conv(x).unflatten(1, (2, 7)).permute(0, 1, 3, 4, 2))
    assert head.asffs[0].weight_levels.bias.shape == (3,)


def test_other_numbers_of_levels() -> None:
    with pytest.raises(ValueError, match="reads 2 maps with anchors for 2 levels; this head fuses exactly three"):
        ASFFHead(2, ANCHORS[:2], CHANNELS[:2])
