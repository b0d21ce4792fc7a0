"""Weighted fusion against cases worked by hand."""

import torch
from torch import Tensor, nn

from models.blocks.bifpn import (
    BiFPN,
    BiFPN_Add2,
    BiFPN_Add3,
    BiFPN_Concat,
    BiFPN_Concat2,
    BiFPN_Concat3,
    Concat_bifpn,
)
from tests.models.blocks.values import maps, normed, trained

ONES = [torch.full((1, 1, 1, 1), float(value)) for value in (10, 20, 30)]


def weigh(block: nn.Module, *weights: float) -> nn.Module:
    """Set the fusion weights of a block."""
    block.w = nn.Parameter(torch.tensor(weights, dtype=torch.float32))
    return block


def test_concat_divides_by_the_sum_of_the_weights() -> None:
    out: Tensor = weigh(BiFPN_Concat2(), 1, 3)(ONES[:2])
    torch.testing.assert_close(out.flatten(), torch.tensor([10 * 1 / 4.0001, 20 * 3 / 4.0001]))
    out = weigh(BiFPN_Concat3(), 1, 3, -2)(ONES)  # no ReLU: −2 counts
    torch.testing.assert_close(out.flatten(), torch.tensor([10 / 2.0001, 60 / 2.0001, -60 / 2.0001]))


def test_concat_of_any_number_keeps_weights_above_zero() -> None:
    out: Tensor = weigh(BiFPN_Concat(1, 3), 1, 3, -2)(ONES)
    torch.testing.assert_close(out.flatten(), torch.tensor([10 / 4.0001, 60 / 4.0001, 0]))


def test_plain_sum_divides_by_the_sum_of_swished_weights() -> None:
    block = BiFPN(2)
    block.weight = nn.Parameter(torch.tensor([1.0, 3.0]))
    swished = 1 / (1 + torch.e**-1) + 3 / (1 + torch.e**-3)
    assert abs(block(ONES[:2]).item() - (10 + 60) / (swished + 1e-4)) < 1e-4


def test_sum_with_channels_resizes_to_the_first_map() -> None:
    block = trained(BiFPN([3, 5], 4))
    fine, coarse = *maps(1, 3, 4, 6), *maps(1, 5, 2, 3)
    first, second = (
        nn.functional.silu(normed(torch.einsum("oc,bchw->bohw", c.conv.weight[:, :, 0, 0], x), c.bn))
        for c, x in zip(block.convs, (fine, coarse), strict=True)
    )
    w = block.w.clamp(min=0)
    w = w / (w.sum() + 1e-4)
    enlarged = second.repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(block([fine, coarse]), nn.functional.silu(w[0] * first + w[1] * enlarged))


def test_add_activates_before_it_convolves() -> None:
    for block, n in ((trained(BiFPN_Add2(4, 6)), 2), (trained(BiFPN_Add3(4, 6)), 3)):
        x = maps(2, 4, 3, 3, n=n)
        w = block.w / (block.w.sum() + 1e-4)
        total = sum(w[i] * x[i] for i in range(n))
        active = total * torch.sigmoid(total)
        expected = torch.einsum("oc,bchw->bohw", block.conv.weight[:, :, 0, 0], active) + block.conv.bias.view(-1, 1, 1)
        torch.testing.assert_close(block(x), expected)


def test_concat_bifpn_adds_and_has_weights_for_two_and_three_maps() -> None:
    for n in (2, 3):
        block = trained(Concat_bifpn(4, 6, n))
        x = maps(2, 4, 3, 3, n=n)
        w = block.w1_weight if n == 2 else block.w2_weight
        w = w / (w.sum() + 1e-4)
        total = sum(w[i] * x[i] for i in range(n)).clamp(min=0)  # type: ignore[union-attr]
        conv = block.conv
        y = normed(torch.einsum("oc,bchw->bohw", conv.conv.weight[:, :, 0, 0], total), conv.bn)
        torch.testing.assert_close(block(x), y * torch.sigmoid(y))
        assert set(block.state_dict()) >= {"w1_weight", "w2_weight", "conv.conv.weight", "conv.bn.weight"}
