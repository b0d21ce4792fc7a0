"""C3STR against its definition, position by position."""

import pytest
import torch
from torch import nn

from models.blocks.swin_csp import C3STR, SwinLayer
from tests.models.blocks.values import maps, trained


def attended(layer: SwinLayer, x: torch.Tensor) -> torch.Tensor:
    """Attend among positions that share a window, and a side of the border, of windows of 8 moved by the shift."""
    x = nn.functional.pad(x, (0, -x.shape[3] % 8, 0, -x.shape[2] % 8))
    channels, height, width = x.shape[1:]
    rows = layer.norm1(x[0].flatten(1).T)
    query, key, value = (rows @ layer.attn.qkv.weight.T + layer.attn.qkv.bias).split(channels, 1)
    heads = layer.attn.heads
    y, xs = torch.arange(height * width) // width, torch.arange(height * width) % width
    out = torch.empty_like(rows)
    for i in range(height * width):
        together = torch.ones(height * width, dtype=torch.bool)
        for at, length in ((y, height), (xs, width)):
            together &= (at - layer.shift) % length // 8 == (at[i] - layer.shift) % length // 8
            together &= (at < layer.shift) == (at[i] < layer.shift)
        there = together.nonzero()[:, 0]
        offset = (y[i] - y[there] + 7) * 15 + xs[i] - xs[there] + 7
        for head in range(heads):
            part = slice(head * channels // heads, (head + 1) * channels // heads)
            logits = key[there, part] @ query[i, part] / (channels / heads) ** 0.5
            shares = (logits + layer.attn.relative_position_bias_table[offset, head]).softmax(0)
            out[i, part] = shares @ value[there, part]
    return (out @ layer.attn.proj.weight.T + layer.attn.proj.bias).T.reshape(1, channels, height, width)


@pytest.mark.parametrize("shift", [0, 4])
def test_a_layer(shift: int) -> None:
    layer = trained(SwinLayer(8, 2, 8, shift, nn.SiLU()))
    nn.init.normal_(layer.attn.relative_position_bias_table)
    (x,) = maps(1, 8, 13, 19)
    y = nn.functional.pad(x, (0, 5, 0, 3)) + attended(layer, x)
    rows = layer.norm2(y.permute(0, 2, 3, 1))
    hidden = rows @ layer.mlp.fc1.weight.T + layer.mlp.fc1.bias
    more = (hidden * hidden.sigmoid()) @ layer.mlp.fc2.weight.T + layer.mlp.fc2.bias
    torch.testing.assert_close(layer(x), (y + more.permute(0, 3, 1, 2))[:, :, :13, :19])


def test_images_do_not_mix() -> None:
    layer = trained(SwinLayer(8, 2, 8, 4, nn.GELU()))
    (x,) = maps(3, 8, 16, 24)
    torch.testing.assert_close(layer(x), torch.cat([layer(one[None]) for one in x]))


def test_every_second_layer_is_shifted() -> None:
    block = trained(C3STR(16, 128, 3))
    assert [layer.shift for layer in block.m.blocks] == [0, 4, 0]
    assert [layer.attn.heads for layer in block.m.blocks] == [2, 2, 2]
    assert isinstance(block.m.blocks[0].mlp.act, nn.GELU)
    (x,) = maps(1, 16, 8, 8)
    inner = block.cv1(x)
    for layer in block.m.blocks:
        inner = layer(inner)
    torch.testing.assert_close(block(x), block.cv3(torch.cat((inner, block.cv2(x)), 1)))


@pytest.mark.parametrize("channels", [32, 200])
def test_branches_that_do_not_divide(channels: int) -> None:
    with pytest.raises(ValueError, match=r"do not divide into heads of 32: write channels that are a multiple of 64"):
        C3STR(16, channels)
