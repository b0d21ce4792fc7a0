"""PolaFormer: linear attention that keeps the signs of queries and keys apart."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attention.layers.checks import largest_divisor, odd, positive
from attention.layers.initial_values import small_normal
from attention.layers.positions import resized_table
from attention.layers.tensor_ops import from_tokens, full_precision, keep_format, split_axis, tokens, upcast
from attention.registry import ATTENTION


@ATTENTION.register("PolaFormer", "PolaLinearAttention")
class PolaFormer(nn.Module):
    """Attend to all positions at linear cost, by positive and negative parts of queries and keys, with learned powers.

    q± = δ(±q / softplus(s))ᵖ, k± likewise, p = 1 + α σ(a);  o₁ = L([q₊; q₋], [k₊; k₋], v₁), o₂ = L([q₋; q₊], [k₊; k₋],
    v₂), where L(q, k, v) = q Σⱼ kⱼ vⱼᵀ / q Σⱼ kⱼ and [v₁; v₂] = v;  y = W_o(([o₁; o₂] + dw₅(v)) ⊙ g)

    Args:
        channels: C of input and output, ≥ 1.
        heads: wanted number of heads; the largest divisor of C that does not exceed it is used.
        alpha: α, what the powers may exceed 1 by.
        kernel_size: of the depthwise convolution, odd; it is shared by the heads.
        table: side of the table of positions that is added to the keys, resized to the map; 0 for none.
        qkv_bias: whether the maps to q, g, k and v have biases.

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format. Powers and sums are float32 at least;
        the product with g is not, so prefer bfloat16 to float16.

    Raises:
        ValueError: if kernel_size is even or an argument is out of range.

    Source:
        Meng et al., PolaFormer: Polarity-aware Linear Attention for Vision Transformers, ICLR 2025, arXiv:2501.15061,
        §4; authors' code ZacharyMeng/PolaFormer models/pola_pvt.py (PolaLinearAttention, initial values as in its
        network). Differs: the table is resized linearly; theirs fits one map size, and is equal there.
    """

    def __init__(
        self,
        channels: int,
        heads: int = 8,
        alpha: float = 4,
        *,
        kernel_size: int = 5,
        table: int = 14,
        qkv_bias: bool = False,
    ) -> None:
        super().__init__()
        positive(channels=channels, heads=heads)
        odd(kernel_size=kernel_size)
        if not alpha >= 0:
            raise ValueError(f"alpha={alpha!r}, expected a number of at least 0")
        if table:
            positive(table=table)
        self.heads = largest_divisor(channels, heads, "heads")
        self.alpha = alpha
        width = channels // self.heads
        self.first = (width + 1) // 2  # channels of a head's values that go with equal signs
        self.query_gate = nn.Conv2d(channels, 2 * channels, 1, bias=qkv_bias)
        self.key_value = nn.Conv2d(channels, 2 * channels, 1, bias=qkv_bias)
        self.out = nn.Conv2d(channels, channels, 1)
        small_normal(self.query_gate, self.key_value, self.out)
        self.local = nn.Conv2d(width, width, kernel_size, padding=kernel_size // 2, groups=width)
        self.power = nn.Parameter(torch.zeros(self.heads, 1, width))
        self.scale = nn.Parameter(torch.zeros(channels))
        self.table = nn.Parameter(torch.zeros(channels, table, table)) if table else None

    def _signed(self, part: Tensor, scale: Tensor, power: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, H, W) → positive and negative part, (B, heads, N, d)."""
        z = tokens(part / scale, self.heads)
        return torch.relu(z) ** power, torch.relu(-z) ** power

    def forward(self, x: Tensor) -> Tensor:
        """Attend to all positions of x (B, C, H, W)."""
        query, gate = self.query_gate(x).chunk(2, 1)
        key, value = self.key_value(x).chunk(2, 1)
        with full_precision(x):
            scale = F.softplus(upcast(self.scale))[:, None, None]
            power = 1 + self.alpha * torch.sigmoid(upcast(self.power))
            if self.table is not None:
                key = upcast(key) + resized_table(upcast(self.table), x)
            q_plus, q_minus = self._signed(upcast(query), scale, power)
            keys = torch.cat(self._signed(upcast(key), scale, power), 3)  # (B, heads, N, 2d)
            v = upcast(tokens(value, self.heads))
            parts = []
            for q, half in (
                (torch.cat((q_plus, q_minus), 3), v[..., : self.first]),
                (torch.cat((q_minus, q_plus), 3), v[..., self.first :]),
            ):
                total = q @ keys.mean(2, keepdim=True).transpose(2, 3) + 1e-6
                parts.append(q @ (keys.transpose(2, 3) @ half / keys.shape[2]) / total)
            out = torch.cat(parts, 3)
        local = self.local(split_axis(value, 1, (self.heads, -1)).flatten(0, 1)).reshape(x.shape)
        return keep_format(self.out((from_tokens(out.to(local.dtype), x) + local) * gate), x)
