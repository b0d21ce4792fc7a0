"""FocusedLinear: linear attention with sharpened queries and keys."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attention.layers.checks import largest_divisor, odd, positive
from attention.layers.initial_values import small_normal
from attention.layers.positions import resized_table
from attention.layers.tensor_ops import (
    from_tokens,
    full_precision,
    keep_format,
    split_axis,
    tokens,
    upcast,
)
from attention.registry import ATTENTION


@ATTENTION.register("FocusedLinear", "FLatten", "FocusedLinearAttention")
class FocusedLinear(nn.Module):
    """Attend to all positions at linear cost, with queries and keys drawn towards their largest components.

    φ(z) = ‖r‖ rᵖ / ‖rᵖ‖, r = δ(z) / softplus(s);  oᵢ = φ(qᵢ)ᵀ Σⱼ φ(kⱼ) vⱼᵀ / φ(qᵢ)ᵀ Σⱼ φ(kⱼ);  y = W_o(o + dw₅(v))

    The length is taken over all channels, before they are split into heads; dw₅ is shared by the heads. To the keys a
    learned table of positions is added, resized to the map.

    Args:
        channels: C of input and output, ≥ 1.
        heads: wanted number of heads; the largest divisor of C that does not exceed it is used.
        focus: p.
        kernel_size: of the depthwise convolution, odd.
        table: side of the table of positions; 0 for none. It is 0 at the start, as the authors' is.
        qkv_bias: whether the maps to q, k and v have biases.

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format. Powers and sums are float32 at least.

    Raises:
        ValueError: if kernel_size is even or an argument is out of range.

    Source:
        Han et al., FLatten Transformer: Vision Transformer using Focused Linear Attention, ICCV 2023, arXiv:2308.00442,
        §4; authors' code LeapLabTHU/FLatten-Transformer models/flatten_swin.py (FocusedLinearAttention, initial values
        as there). Differs: the table is resized linearly; theirs fits one map size, and is equal there.
    """

    def __init__(
        self,
        channels: int,
        heads: int = 8,
        focus: float = 3,
        *,
        kernel_size: int = 5,
        table: int = 14,
        qkv_bias: bool = True,
    ) -> None:
        super().__init__()
        positive(channels=channels, heads=heads)
        odd(kernel_size=kernel_size)
        if not focus > 0:
            raise ValueError(f"focus={focus!r}, expected a positive number")
        if table:
            positive(table=table)
        self.heads = largest_divisor(channels, heads, "heads")
        self.focus = focus
        width = channels // self.heads
        self.qkv = nn.Conv2d(channels, 3 * channels, 1, bias=qkv_bias)
        self.out = nn.Conv2d(channels, channels, 1)
        small_normal(self.qkv, self.out)
        self.local = nn.Conv2d(width, width, kernel_size, padding=kernel_size // 2, groups=width)
        self.scale = nn.Parameter(torch.zeros(channels))
        self.table = nn.Parameter(torch.zeros(channels, table, table)) if table else None

    def _focused(self, z: Tensor) -> Tensor:
        """(B, C, N) → the same."""
        length = z.norm(dim=1, keepdim=True)
        sharp = z**self.focus
        return sharp * (length / sharp.norm(dim=1, keepdim=True))

    def forward(self, x: Tensor) -> Tensor:
        """Attend to all positions of x (B, C, H, W)."""
        query, key, value = self.qkv(x).chunk(3, 1)
        with full_precision(x):
            scale = F.softplus(upcast(self.scale)).unsqueeze(1)
            if self.table is not None:
                key = upcast(key) + resized_table(upcast(self.table), x)
            q, k = (
                split_axis(self._focused((torch.relu(upcast(part).flatten(2)) + 1e-6) / scale), 1, (self.heads, -1))
                for part in (query, key)
            )  # (B, heads, d, N)
            v = upcast(tokens(value, self.heads))
            # Divided before the product, and the divisor summed without one: where a head has no positive query, 1e-6
            # is all there is to divide by, and a backward pass under autocast would carry its inverse in float16.
            q = q / ((k.mean(3, keepdim=True) * q).sum(2, keepdim=True) + 1e-6)
            out = q.transpose(2, 3) @ (k @ v / k.shape[3])  # (B, heads, N, d)
        by_head = split_axis(value, 1, (self.heads, -1)).flatten(0, 1)
        local = self.local(by_head).reshape(x.shape)
        return keep_format(self.out(from_tokens(out.to(local.dtype), x) + local), x)
