"""SCSA: spatial and channel synergistic attention."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attention.layers.checks import largest_divisor, odd, one_of, positive
from attention.layers.gating import gate_channels
from attention.layers.pooling import average
from attention.layers.tensor_ops import group_norm, missing, split_axis, upcast
from attention.registry import ATTENTION

POOLING = ("mean", "max")


@ATTENTION.register("SCSA")
class SCSA(nn.Module):
    """Weigh rows and columns by convolutions of four sizes, then channels by self-attention among them.

    g_H = σ(GN₄([dw₃; dw₅; dw₇; dw₉](mean_W x))), g_W likewise;  x₁ = x ⊙ g_H ⊙ g_W;  z = GN₁(pool(x₁));
    y = x₁ ⊙ σ(mean_N(softmax(q kᵀ / √d) v)), q, k, v = z scaled per channel

    The four convolutions, each for a quarter of the channels, are shared by rows and columns.

    Args:
        channels: C of input and output, divisible by 4.
        heads: wanted number of heads; the largest divisor of C that does not exceed it is used.
        window: pooled to one value before the channel attention; what windows do not fill is not read. 0 pools the
            whole map.
        kernels: four odd sizes.
        pooling: mean or max.
        qkv_bias: whether q, k and v have biases.

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format.

    Raises:
        ValueError: if channels is not divisible by 4, a kernel even, pooling unknown, or an argument out of range.

    Source:
        Si et al., SCSA: Exploring the Synergistic Effects Between Spatial and Channel Attention, Neurocomputing 2025,
        arXiv:2407.05128, §3; authors' code HZAI-ZJNU/SCSA mmpretrain/models/attentions/SCSA.py. Differs: a window is at
        most as large as the map; their third kind of pooling calls a function that is not there.
    """

    def __init__(
        self,
        channels: int,
        heads: int = 8,
        window: int = 7,
        *,
        kernels: Sequence[int] = (3, 5, 7, 9),
        pooling: str = "mean",
        qkv_bias: bool = False,
    ) -> None:
        super().__init__()
        positive(channels=channels, heads=heads)
        one_of(pooling, POOLING, "pooling")
        if channels % 4:
            raise ValueError(f"channels={channels} is not divisible by 4: each of the four kernels gets a quarter")
        if isinstance(kernels, int) or len(kernels) != 4:
            raise ValueError(f"kernels={kernels!r}, expected four odd sizes such as [3, 5, 7, 9]")
        for size in kernels:
            odd(kernels=size)
        if window:
            positive(window=window)
        self.heads = largest_divisor(channels, heads, "heads")
        self.window = window
        self.pooling = pooling
        quarter = channels // 4
        self.strips = nn.ModuleList(
            nn.Conv1d(quarter, quarter, size, padding=size // 2, groups=quarter) for size in kernels
        )
        self.norm_rows = nn.GroupNorm(4, channels)
        self.norm_columns = nn.GroupNorm(4, channels)
        self.norm = nn.GroupNorm(1, channels)
        self.query, self.key, self.value = (
            nn.Conv2d(channels, channels, 1, groups=channels, bias=qkv_bias) for _ in range(3)
        )

    def _strip_gate(self, means: Tensor, norm: nn.GroupNorm) -> Tensor:
        """(B, C, L) → the same."""
        parts = [conv(part) for conv, part in zip(self.strips, means.chunk(4, 1), strict=True)]
        return torch.sigmoid(group_norm(norm, torch.cat(parts, 1)))

    def _pool(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → (B, C, h, w)."""
        if not self.window:
            return x.amax((2, 3), keepdim=True) if self.pooling == "max" else average(x, (2, 3), keepdim=True)
        below, right = (missing(n, self.window) for n in x.shape[2:])
        if torch.jit.is_tracing():  # a graph has one size of window; what a smaller map lacks of it is padded
            lowest = torch.finfo(x.dtype).min if self.pooling == "max" else 0.0
            x = F.pad(x, (0, right, 0, below), value=lowest)
            if self.pooling == "max":
                return F.max_pool2d(x, self.window)
            return F.avg_pool2d(x, self.window) * (self.window**2 / ((self.window - below) * (self.window - right)))
        size = [self.window - below, self.window - right]
        return F.max_pool2d(x, size) if self.pooling == "max" else F.avg_pool2d(x, size)

    def _channel_gate(self, x: Tensor) -> Tensor:
        """(B, C)."""
        pooled = group_norm(self.norm, self._pool(x))
        q, k, v = (
            split_axis(layer(pooled).flatten(2), 1, (self.heads, -1)) for layer in (self.query, self.key, self.value)
        )
        weights = upcast(q @ k.transpose(2, 3) * q.shape[2] ** -0.5).softmax(3).to(v.dtype)  # (B, heads, d, d)
        return torch.sigmoid((weights @ v.mean(3, keepdim=True)).flatten(1))

    def forward(self, x: Tensor) -> Tensor:
        """Weigh positions and channels of x (B, C, H, W)."""
        rows = self._strip_gate(average(x, (3,)), self.norm_rows)
        columns = self._strip_gate(average(x, (2,)), self.norm_columns)
        placed = x * (rows.unsqueeze(3) * columns.unsqueeze(2)).to(x.dtype)
        return gate_channels(placed, self._channel_gate(placed))
