"""CoT3 and BoT3 against their definitions."""

import torch
from torch import nn

from models.blocks.transformer_csp import BoT3, ContextMix, CoT3, GlobalMix
from tests.models.blocks.values import maps, trained


def test_context_mix() -> None:
    block = trained(ContextMix(8))
    (x,) = maps(2, 8, 3, 5)
    conv, norm, _ = block.key_embed
    key = norm(nn.functional.conv2d(x, conv.weight, padding=1, groups=4)).clamp(min=0)
    squeeze, squeeze_norm, _, expand = block.attention_embed
    logits = expand(squeeze_norm(squeeze(torch.cat((key, x), 1))).clamp(min=0))  # channel c has 9 c … 9 c + 8
    weights = torch.stack([logits[:, 9 * c : 9 * c + 9].mean(1) for c in range(8)], 1).exp()
    weights = weights / weights.sum((2, 3), keepdim=True)
    torch.testing.assert_close(block(x), key + weights * block.value_embed(x))


def test_global_mix() -> None:
    block = trained(GlobalMix(8, 2))
    (x,) = maps(2, 8, 3, 5)
    expected = torch.empty_like(x)
    query, key, value = block.query(x), block.key(x), block.value(x)
    for head in (slice(0, 4), slice(4, 8)):
        for i in range(15):
            at = query[:, head].flatten(2)[:, :, i]
            alike = torch.einsum("bc,bcn->bn", at, key[:, head].flatten(2)).exp()
            shares = alike / alike.sum(1, keepdim=True)
            expected[:, head].flatten(2)[:, :, i] = torch.einsum("bn,bcn->bc", shares, value[:, head].flatten(2))
    torch.testing.assert_close(block(x), expected)


def test_branches_and_shortcuts() -> None:
    (x,) = maps(1, 8, 4, 4)
    for block in (trained(CoT3(8, 8, 2)), trained(BoT3(8, 8, 2))):
        inner = block.cv1(x)
        for unit in block.m:
            inner = inner + unit.cv2(unit.cv1(inner))
        torch.testing.assert_close(block(x), block.cv3(torch.cat((inner, block.cv2(x)), 1)))
    plain = trained(CoT3(8, 8, 1, False))
    inner = plain.m[0].cv2(plain.m[0].cv1(plain.cv1(x)))
    torch.testing.assert_close(plain(x), plain.cv3(torch.cat((inner, plain.cv2(x)), 1)))
