"""Blocks against hand-worked cases and their definitions."""

from typing import Any

import pytest
import torch
from torch import nn

from models.blocks.elan import ELAN
from models.blocks.repconv import RepConv
from models.blocks.spp import TinySPPCSPC
from models.blocks.yolov7 import MP, SP, DownC, MPConv, ReOrg, Shortcut


def trained(module: nn.Module) -> Any:
    """Give normalisations statistics that matter."""
    generator = torch.Generator().manual_seed(0)
    for child in module.modules():
        if isinstance(child, nn.BatchNorm2d):
            n = child.num_features
            for name, shift in (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0)):
                getattr(child, name).data = shift + 0.3 * torch.randn(n, generator=generator)
            child.running_var = 0.5 + torch.rand(n, generator=generator)
    return module.eval()


def test_reorg_order() -> None:
    x = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]]]])
    # (row, column) parity (0, 0), (1, 0), (0, 1), (1, 1); both channels each
    assert ReOrg()(x).flatten().tolist() == [1, 5, 3, 7, 2, 6, 4, 8]


def test_pools() -> None:
    x = torch.arange(16.0).view(1, 1, 4, 4)
    assert MP()(x).flatten().tolist() == [5, 7, 13, 15]
    assert SP(3)(x).flatten().tolist() == [5, 6, 7, 7, 9, 10, 11, 11, 13, 14, 15, 15, 13, 14, 15, 15]


def test_shortcut_adds() -> None:
    assert Shortcut()([torch.ones(1), torch.ones(1) * 2, torch.ones(1) * 4]).item() == 7


def test_elan_joins_newest_first() -> None:
    block = trained(ELAN(3, 7, units=2, hidden=4, stacked=5, depth=2))
    x = torch.randn(1, 3, 6, 6)
    with torch.no_grad():
        a, b = block.cv1(x), block.cv2(x)
        c = block.m[0].cv2(block.m[0].cv1(b))
        d = block.m[1].cv2(block.m[1].cv1(c))
        torch.testing.assert_close(block(x), block.cv3(torch.cat((d, c, b, a), 1)))


def test_downsampling_blocks_put_the_convolved_half_first() -> None:
    x = torch.randn(1, 4, 6, 6)
    with torch.no_grad():
        pooled = nn.functional.max_pool2d(x, 2)
        block = trained(MPConv(4, 6))
        torch.testing.assert_close(block(x), torch.cat((block.cv3(block.cv2(x)), block.cv1(pooled)), 1))
        down = trained(DownC(4, 6))
        torch.testing.assert_close(down(x), torch.cat((down.cv2(down.cv1(x)), down.cv3(pooled)), 1))


def test_tiny_pools_read_one_map() -> None:
    block = trained(TinySPPCSPC(4, 6))
    x = torch.randn(1, 4, 9, 9)
    with torch.no_grad():
        inner = block.cv2(x)
        pools = [nn.functional.max_pool2d(inner, k, 1, k // 2) for k in (13, 9, 5)]
        joined = torch.cat((block.cv3(torch.cat((*pools, inner), 1)), block.cv1(x)), 1)
        torch.testing.assert_close(block(x), block.cv4(joined))


@pytest.mark.parametrize(
    ("c1", "c2", "stride", "groups", "identity"),
    [(4, 6, 1, 1, False), (6, 6, 1, 1, True), (6, 6, 2, 1, False), (6, 6, 1, 3, True)],
)
def test_rep_conv_merges_into_one_convolution(c1: int, c2: int, stride: int, groups: int, identity: bool) -> None:
    block = trained(RepConv(c1, c2, 3, stride, None, groups))
    assert hasattr(block, "rbr_identity") == identity
    x = torch.randn(2, c1, 8, 8)
    with torch.no_grad():
        before = block(x)
        block.fuse()
        assert sorted(block.state_dict()) == ["rbr_reparam.bias", "rbr_reparam.weight"]
        torch.testing.assert_close(block(x), before, rtol=1e-5, atol=1e-5)
        block.fuse()  # nothing left to do
        torch.testing.assert_close(block(x), before, rtol=1e-5, atol=1e-5)
    deploy = RepConv(c1, c2, 3, stride, None, groups, True, True)
    assert {k: v.shape for k, v in deploy.state_dict().items()} == {k: v.shape for k, v in block.state_dict().items()}


def test_rep_conv_refuses_other_kernels() -> None:
    with pytest.raises(ValueError, match="kernel 5 with padding None: RepConv has kernel 3"):
        RepConv(4, 4, 5)
