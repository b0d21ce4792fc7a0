"""Window attention against its definition, window by window."""

import torch
from torch.nn.functional import layer_norm, pad

from models.blocks.windows import SwinBlock
from tests.models.blocks.test_convnext import gelu
from tests.models.blocks.values import maps, trained


def test_definition() -> None:
    block = trained(SwinBlock(8, 2, 3))
    (x,) = maps(2, 8, 5, 7)
    padded = pad(x, (0, 2, 0, 1))
    expected = torch.zeros_like(padded)
    for top in range(0, 6, 3):
        for left in range(0, 9, 3):
            window = padded[:, :, top : top + 3, left : left + 3].flatten(2).transpose(1, 2)  # (B, 9, 8)
            t = layer_norm(window, (8,), block.norm1.weight, block.norm1.bias)
            q, k, v = (t @ block.attn.in_proj_weight.t() + block.attn.in_proj_bias).split(8, -1)
            heads = []
            for head in (slice(0, 4), slice(4, 8)):
                weights = (q[..., head] @ k[..., head].transpose(1, 2) / 2).softmax(-1)  # √4
                heads.append(weights @ v[..., head])
            attended = torch.cat(heads, -1) @ block.attn.out_proj.weight.t() + block.attn.out_proj.bias
            t = t + attended
            inner = layer_norm(t, (8,), block.norm2.weight, block.norm2.bias)
            inner = gelu(inner @ block.mlp[0].weight.t() + block.mlp[0].bias)
            t = t + inner @ block.mlp[2].weight.t() + block.mlp[2].bias
            expected[:, :, top : top + 3, left : left + 3] = t.transpose(1, 2).view(2, 8, 3, 3)
    torch.testing.assert_close(block(x), expected[:, :, :5, :7])
