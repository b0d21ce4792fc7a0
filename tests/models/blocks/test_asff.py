"""Adaptive fusion in rows against its definition."""

from fractions import Fraction
from typing import Any

import pytest
import torch
from torch.nn.functional import conv_transpose2d

from models.blocks.asff import ASFF2, ASFF3, _fusion
from models.catalog.channel_rules import Call, Reads, Scale
from tests.models.blocks.values import maps, trained

CHANNELS = [4, 6, 8]


@pytest.mark.parametrize(("cls", "level"), [(ASFF2, 0), (ASFF2, 1), (ASFF3, 0), (ASFF3, 1), (ASFF3, 2)])
def test_definition(cls: Any, level: int) -> None:
    n = 2 if cls is ASFF2 else 3
    block = trained(cls(CHANNELS[:n], CHANNELS[level], level))
    x = [*maps(2, 4, 8, 12), *maps(2, 6, 4, 6), *maps(2, 8, 2, 3)][:n]
    resized = []
    for i, each in enumerate(x):
        layer = getattr(block, f"stride_level_{i}", None)
        if i > level:
            factor = 2 ** (i - level)
            each = conv_transpose2d(each, layer.cv1.weight, layer.cv1.bias, stride=factor)
            assert layer.cv1.weight.shape[2:] == (factor, factor)
        elif i < level:
            assert layer.conv.stride == layer.conv.kernel_size == (2 ** (level - i),) * 2
            each = layer(each)
        resized.append(each)
    logits = torch.cat([getattr(block, f"weight_level_{i}")(each) for i, each in enumerate(resized)], 1)
    exp = block.weights_levels(logits).exp()
    weights = exp / exp.sum(1, keepdim=True)
    total = sum(weights[:, i, None] * each for i, each in enumerate(resized))
    torch.testing.assert_close(block(x), block.conv(total))


def test_rule() -> None:
    rule = _fusion(2)
    reads = Reads((64, 128), (Fraction(8), Fraction(16)), True)
    assert rule((256, 1), 1, reads, Scale(width=0.5)) == Call(((64, 128), 128, 1), 128, Fraction(16))
    for args, message in (((256, 2), "level"), ((64, 1), "the maps have 128 channels")):
        with pytest.raises(ValueError, match=message):
            rule(args, 1, reads, Scale(width=0.5))
    with pytest.raises(ValueError, match="reads maps of strides 8, 32, expected each twice"):
        rule((128, 0), 1, Reads((64, 64), (Fraction(8), Fraction(32)), True), Scale(width=0.5))
