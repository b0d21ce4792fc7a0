"""Rearrangements against cases worked by hand."""

import torch

from models.blocks.space_to_depth import SPD, Contract, Expand, SPDConv
from tests.models.blocks.values import maps, trained

SQUARE = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]]]])


def test_order_of_space_to_depth() -> None:
    # (row, column) parity (0, 0), (1, 0), (0, 1), (1, 1); both channels each
    assert SPD()(SQUARE).flatten().tolist() == [1, 5, 3, 7, 2, 6, 4, 8]


def test_order_of_contract_and_its_inverse() -> None:
    # (row, column) (0, 0), (0, 1), (1, 0), (1, 1); both channels each
    contracted = Contract(2)(SQUARE)
    assert contracted.flatten().tolist() == [1, 5, 2, 6, 3, 7, 4, 8]
    torch.testing.assert_close(Expand(2)(contracted), SQUARE)
    (x,) = maps(2, 3, 6, 9)
    torch.testing.assert_close(Expand(3)(Contract(3)(x)), x)


def test_spdconv_convolves_the_rearranged_map() -> None:
    block = trained(SPDConv(3, 4))
    (x,) = maps(1, 3, 6, 8)
    torch.testing.assert_close(block(x), block.conv(SPD()(x)))
    assert block.conv.conv.weight.shape == (4, 12, 3, 3)
