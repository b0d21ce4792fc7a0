"""SHSA: single-head self-attention."""

import torch
from torch import Tensor, nn

from attention.layers.checks import positive
from attention.layers.conv_norm import ConvNorm
from attention.layers.tensor_ops import dot_product_attention, from_tokens, group_norm, keep_format, tokens
from attention.registry import ATTENTION


@ATTENTION.register("SHSA", "SHViT")
class SHSA(nn.Module):
    """Let a fifth of the channels attend to all positions, with one head, and mix them with the rest.

    [a; b] = x;  q, k, v = BN(W GN(a));  y = x + BN(W_o δ([softmax(qᵀk / √d) v; b]))

    Args:
        channels: C of input and output, ≥ 1.
        ratio: share of the channels that attend, rounded down (3 / 14 in the authors' networks).
        key_width: d of queries and keys.

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format.

    Raises:
        ValueError: if ratio is not within 0 … 1 or an argument is out of range.

    Source:
        Yun, Ro, SHViT, CVPR 2024, arXiv:2401.16456, §3.3; authors' code ysj9909/SHViT model/shvit.py (SHSA), with the
        shortcut of its block. Starts at identity, as theirs: γ of the last normalisation is 0. Differs: nothing.
    """

    starts_at_identity = True

    def __init__(self, channels: int, ratio: float = 3 / 14, *, key_width: int = 16) -> None:
        super().__init__()
        positive(channels=channels, key_width=key_width)
        if not 0 < ratio <= 1:
            raise ValueError(f"ratio={ratio!r}, expected a number above 0 and up to 1")
        self.part = max(int(channels * ratio + 1e-6), 1)
        self.key_width = key_width
        self.norm = nn.GroupNorm(1, self.part)
        self.qkv = ConvNorm(self.part, 2 * key_width + self.part)
        self.act = nn.ReLU()
        self.out = ConvNorm(channels, channels)
        nn.init.zeros_(self.out.bn.weight)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """Attend in a part of x (B, C, H, W)."""
        moved, kept = x[:, : self.part], x[:, self.part :]
        parts = self.qkv(group_norm(self.norm, moved)).split((self.key_width, self.key_width, self.part), 1)
        query, key, value = (tokens(one) for one in parts)
        attended = from_tokens(
            dot_product_attention(query, key, value, self.key_width**-0.5, wider=self.key_width - self.part), x
        )
        joined = torch.cat((attended, kept.to(attended.dtype)), 1)
        return keep_format(x + self.out(self.act(joined)).to(x.dtype), x)
