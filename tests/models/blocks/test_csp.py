"""Cross stage partial blocks: what runs where, by definition."""

import torch

from models.blocks.csp import C3C2, SPPCSP, BottleneckCSP2, BottleneckCSPF
from models.blocks.spp import SPPFCSPC, SPPCSPC_group
from tests.models.blocks.test_slim_neck import mish
from tests.models.blocks.values import maps, normed, trained


def silu(x: torch.Tensor) -> torch.Tensor:
    """x · σ(x)."""
    return x * torch.sigmoid(x)


def test_c3c2_passes_the_bare_convolution_by() -> None:
    block = trained(C3C2(6, 8, 2))
    (x,) = maps(2, 6, 5, 5)
    y = block.conv(x)
    joined = torch.cat((block.m(silu(normed(y, block.bn))), y), 1)
    torch.testing.assert_close(block(x), mish(normed(block.cv1.conv(joined), block.cv1.bn)))


def test_bottleneck_cspf() -> None:
    block = trained(BottleneckCSPF(6, 8, 2))
    (x,) = maps(2, 6, 5, 5)
    joined = silu(normed(torch.cat((block.m(block.cv1(x)), block.cv2(x)), 1), block.bn))
    torch.testing.assert_close(block(x), silu(normed(block.cv4.conv(joined), block.cv4.bn)))


def test_bottleneck_csp2_has_full_width_and_mish_throughout() -> None:
    block = trained(BottleneckCSP2(6, 8, 2))
    (x,) = maps(2, 6, 5, 5)
    first = mish(normed(block.cv1.conv(x), block.cv1.bn))
    inner = first
    for unit in block.m:  # no shortcut by default
        for conv in (unit.cv1, unit.cv2):
            inner = mish(normed(conv.conv(inner), conv.bn))
    joined = mish(normed(torch.cat((inner, block.cv2(first)), 1), block.bn))
    torch.testing.assert_close(block(x), mish(normed(block.cv3.conv(joined), block.cv3.bn)))


def test_sppcsp() -> None:
    block = trained(SPPCSP(6, 8))
    (x,) = maps(2, 6, 16, 16)
    inner = block.cv4(block.cv3(block.cv1(x)))
    pooled = [torch.nn.functional.max_pool2d(inner, k, 1, k // 2) for k in (5, 9, 13)]
    left = block.cv6(block.cv5(torch.cat([inner, *pooled], 1)))
    joined = mish(normed(torch.cat((left, block.cv2(x)), 1), block.bn))
    torch.testing.assert_close(block(x), mish(normed(block.cv7.conv(joined), block.cv7.bn)))


def test_three_pools_of_five_are_pools_of_five_nine_and_thirteen() -> None:
    block = trained(SPPFCSPC(6, 8))
    (x,) = maps(2, 6, 16, 16)
    inner = block.cv4(block.cv3(block.cv1(x)))
    pooled = [torch.nn.functional.max_pool2d(inner, k, 1, k // 2) for k in (5, 9, 13)]
    left = block.cv6(block.cv5(torch.cat([inner, *pooled], 1)))
    torch.testing.assert_close(block(x), block.cv7(torch.cat((left, block.cv2(x)), 1)))


def test_groups_of_sppcspc() -> None:
    block = SPPCSPC_group(8, 16)
    assert {getattr(block, f"cv{i}").conv.groups for i in range(1, 8)} == {4}
