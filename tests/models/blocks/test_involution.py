"""Involution against its definition, position by position."""

import pytest
import torch
from torch.nn.functional import avg_pool2d

from models.blocks.involution import Involution
from tests.models.blocks.values import maps, normed, trained


@pytest.mark.parametrize("stride", [1, 2])
def test_definition(stride: int) -> None:
    block = trained(Involution(32, 32, 3, stride))
    (x,) = maps(2, 32, 4, 6)
    y = avg_pool2d(x, stride) if stride > 1 else x
    for conv in (block.conv1, block.conv2):
        y = normed(conv.conv(y), conv.bn)
        y = y * torch.sigmoid(y)
    expected = torch.zeros(2, 32, 4 // stride, 6 // stride, dtype=torch.float64)
    for i in range(4 // stride):
        for j in range(6 // stride):
            for group in range(2):
                for k in range(9):
                    row, column = i * stride + k // 3 - 1, j * stride + k % 3 - 1
                    if 0 <= row < 4 and 0 <= column < 6:
                        channels = slice(16 * group, 16 * group + 16)
                        expected[:, channels, i, j] += y[:, 9 * group + k, i, j, None] * x[:, channels, row, column]
    torch.testing.assert_close(block(x), expected)
