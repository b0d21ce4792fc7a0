"""Aggregations of yolov7-tiny in one row: what runs where, by definition."""

import torch
from torch import nn
from torch.nn.functional import max_pool2d

from models.blocks.yolov7_tiny import Yolov7_Tiny_E_ELAN, Yolov7_Tiny_SPP
from tests.models.blocks.values import maps, trained


def test_aggregation_joins_oldest_first() -> None:
    block = trained(Yolov7_Tiny_E_ELAN(4, 8, 6, nn.LeakyReLU(0.1)))
    (x,) = maps(2, 4, 5, 5)
    a, b = block.conv1(x), block.conv2(x)
    c = block.conv3(b)
    torch.testing.assert_close(block(x), block.conv5(torch.cat((a, b, c, block.conv4(c)), 1)))


def test_pyramid_joins_the_smallest_pool_first_and_the_bypass_last() -> None:
    block = trained(Yolov7_Tiny_SPP(4, 8))
    (x,) = maps(2, 4, 16, 16)
    inner = block.conv2(x)
    pooled = torch.cat([inner, *(max_pool2d(inner, k, 1, k // 2) for k in (5, 9, 13))], 1)
    torch.testing.assert_close(block(x), block.conv4(torch.cat((block.conv3(pooled), block.conv1(x)), 1)))
