"""AIFI: attention-based intra-scale feature interaction."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attention.layers.checks import largest_divisor, positive
from attention.layers.tensor_ops import dot_product_attention, keep_format, split_axis
from attention.registry import ATTENTION


@ATTENTION.register("AIFI")
class AIFI(nn.Module):
    """Pass the positions of a map through one layer of a transformer encoder, with sine and cosine positions.

    z = LN(x + W_o softmax(qᵀk / √d) v), q, k = W(x + p), v = W_v x;  y = LN(z + W₂ GELU(W₁ z))

    With norm_first LN comes before the attention and before the two linear layers instead of behind them.

    Args:
        channels: C of input and output, divisible by 4.
        hidden: width of the two linear layers.
        heads: wanted number of heads; the largest divisor of C that does not exceed it is used.
        norm_first: whether the normalisations stand before the two parts.
        temperature: of the positions' wave lengths.
        transposed: number the positions of a map that is not square column by column, as the authors' code does,
            although its tokens come row by row. The same on square maps.

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format.

    Raises:
        ValueError: if channels is not divisible by 4 or an argument is out of range.

    Source:
        Zhao et al., DETRs Beat YOLOs on Real-time Object Detection (RT-DETR), CVPR 2024, arXiv:2304.08069, §4.2;
        authors' code lyuwenyu/RT-DETR rtdetr_pytorch/src/zoo/rtdetr/hybrid_encoder.py. Differs: `transposed` is off;
        no dropout, which theirs sets to 0.
    """

    def __init__(
        self,
        channels: int,
        hidden: int = 1024,
        heads: int = 8,
        *,
        norm_first: bool = False,
        temperature: float = 10000.0,
        transposed: bool = False,
    ) -> None:
        super().__init__()
        positive(channels=channels, hidden=hidden, heads=heads)
        if channels % 4:
            raise ValueError(f"channels={channels} is not divisible by 4: sine and cosine of two axes share them")
        if not temperature > 0:
            raise ValueError(f"temperature={temperature!r}, expected a positive number")
        self.heads = largest_divisor(channels, heads, "heads")
        self.scale = (channels // self.heads) ** -0.5
        self.norm_first = norm_first
        self.temperature = temperature
        self.transposed = transposed
        self.query_key = nn.Linear(channels, 2 * channels)
        self.value = nn.Linear(channels, channels)
        self.out = nn.Linear(channels, channels)
        self.fc1 = nn.Linear(channels, hidden)
        self.fc2 = nn.Linear(hidden, channels)
        self.norm1 = nn.LayerNorm(channels)
        self.norm2 = nn.LayerNorm(channels)
        for layer in (self.query_key, self.value):  # Xavier of the three maps as one, as in nn.MultiheadAttention
            bound = math.sqrt(6 / (4 * channels))
            nn.init.uniform_(layer.weight, -bound, bound)
            nn.init.zeros_(layer.bias)
        nn.init.zeros_(self.out.bias)

    def _positions(self, x: Tensor) -> Tensor:
        """(1, N, C): sine and cosine of the row, then of the column."""
        count = x.shape[2] * x.shape[3]
        at = torch.arange(count, device=x.device)
        run = x.shape[2] if self.transposed else x.shape[3]
        row = at // run
        column = at - row * run
        quarter = self.value.in_features // 4
        dtype = torch.promote_types(x.dtype, torch.float32)  # half precision has no room for large positions
        steps = torch.arange(quarter, device=x.device).to(dtype) / quarter
        waves = 1.0 / self.temperature**steps
        rows, columns = (axis.to(dtype).unsqueeze(1) * waves for axis in (row, column))
        return torch.cat((rows.sin(), rows.cos(), columns.sin(), columns.cos()), 1).unsqueeze(0)

    def _attend(self, sequence: Tensor, positions: Tensor) -> Tensor:
        """(B, N, C) → the same."""

        def split(part: Tensor) -> Tensor:
            return split_axis(part, 2, (self.heads, -1)).transpose(1, 2).contiguous()

        query, key = self.query_key(sequence + positions.to(sequence.dtype)).chunk(2, 2)
        value = self.value(sequence)
        return self.out(
            dot_product_attention(split(query), split(key), split(value), self.scale).transpose(1, 2).flatten(2)
        )

    def _transform(self, sequence: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(sequence)))

    def forward(self, x: Tensor) -> Tensor:
        """Encode the positions of x (B, C, H, W)."""
        sequence, positions = x.flatten(2).transpose(1, 2), self._positions(x)
        if self.norm_first:
            sequence = sequence + self._attend(self.norm1(sequence), positions)
            sequence = sequence + self._transform(self.norm2(sequence))
        else:
            sequence = self.norm1(sequence + self._attend(sequence, positions))
            sequence = self.norm2(sequence + self._transform(sequence))
        return keep_format(split_axis(sequence.transpose(1, 2), 2, x.shape[2:]), x)
