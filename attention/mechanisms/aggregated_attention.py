"""AggregatedAttention: neighbours and a pooled map under one softmax, as TransNeXt has it."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attention.layers.checks import largest_divisor, odd, positive
from attention.layers.initial_values import by_fan_out, small_normal
from attention.layers.positions import distances_to_cells
from attention.layers.tensor_ops import full_precision, keep_format, neighbours, pooling_matrix, split_axis, upcast
from attention.registry import ATTENTION


@ATTENTION.register("AggregatedAttention", "TransNeXt", "TransNeXtAttention")
class AggregatedAttention(nn.Module):
    """Attend to the neighbours of a position and to a pooled map of the whole at once, as a retina does.

    q̂ = q / ‖q‖, k̂ = k / ‖k‖;  z = t s (q̂ + e)ᵀ k̂ + b for k² neighbours and P pooled positions, t = softplus(τ),
    s = log(neighbours + P);  [a; c] = softmax(z);  o = Σ (a + q̂ᵀT + β) v over the neighbours + Σ c v over the pooled;
    y = W_o o

    Pooled keys and values are made of LN(pool(GELU(W_r x))) by the same W_k, W_v. b is learned for each neighbour, and
    for pooled positions given by a network of 512 hidden values on their distances in rows and columns.

    Args:
        channels: C of input and output, ≥ 1.
        heads: wanted number of heads; the largest divisor of C that does not exceed it is used.
        sr_ratio: the pooled map has H // sr_ratio rows and W // sr_ratio columns, at least 1.
        kernel_size: side k of the neighbourhood, odd.
        pool_size: side of the pooled map instead, so that the cost for a position does not depend on the map.
        pretrain_size: side of the map that distances refer to, so that a larger map has larger ones; None takes the
            map's own sides.
        qkv_bias: whether the maps to q, k and v have biases.

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format. Logits, weights and sums are float32
        at least.

    Raises:
        ValueError: if kernel_size is even or an argument is out of range.

    Source:
        Shi, TransNeXt: Robust Foveal Visual Perception for Vision Transformers, CVPR 2024, arXiv:2311.17132, §3.1 to
        3.3; author's code DaiShiResearch/TransNeXt classification/attention_native.py (AggregatedAttention, initial
        values as in its networks). Differs: the map may have any size; sr_ratio is 1 in the class and 8, 4, 2 at the
        strides 4, 8, 16 in the networks; no dropout, which is 0 there.
    """

    def __init__(
        self,
        channels: int,
        heads: int = 8,
        sr_ratio: int = 4,
        *,
        kernel_size: int = 3,
        pool_size: int | None = None,
        pretrain_size: int | None = None,
        qkv_bias: bool = True,
    ) -> None:
        super().__init__()
        positive(channels=channels, heads=heads, sr_ratio=sr_ratio)
        odd(kernel_size=kernel_size)
        for name, side in (("pool_size", pool_size), ("pretrain_size", pretrain_size)):
            if side is not None:
                positive(**{name: side})
        self.heads = largest_divisor(channels, heads, "heads")
        self.sr_ratio = sr_ratio
        self.kernel_size = kernel_size
        self.pool_size = pool_size
        self.pretrain_size = pretrain_size
        width = channels // self.heads
        self.query = nn.Conv2d(channels, channels, 1, bias=qkv_bias)
        self.key_value = nn.Conv2d(channels, 2 * channels, 1, bias=qkv_bias)
        self.out = nn.Conv2d(channels, channels, 1)
        self.reduce = nn.Conv2d(channels, channels, 1)
        self.norm = nn.LayerNorm(channels)
        self.fc1 = nn.Linear(2, 512)
        self.fc2 = nn.Linear(512, self.heads)
        small_normal(self.query, self.key_value, self.out, self.fc1, self.fc2)
        by_fan_out(self.reduce)
        self.temperature = nn.Parameter(torch.full((self.heads, 1, 1), math.log(math.exp(1 / 0.24) - 1)))
        self.embedding = nn.Parameter(nn.init.trunc_normal_(torch.empty(self.heads, width, 1), std=0.02))
        self.near = nn.Parameter(nn.init.trunc_normal_(torch.empty(self.heads, kernel_size**2), std=0.0004))
        self.tokens = nn.Parameter(nn.init.trunc_normal_(torch.empty(self.heads, kernel_size**2, width), std=0.02))
        self.token_bias = nn.Parameter(torch.zeros(self.heads, kernel_size**2, 1))

    def _cells(self, size: int) -> int:
        """Return the length of the pooled map's axis for that of a map's, at least 1."""
        return self.pool_size or size // self.sr_ratio + (size < self.sr_ratio)

    def _split(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → (B, heads, d, N), in float32 at least."""
        return split_axis(upcast(x).flatten(2), 1, (self.heads, -1))

    def _pooled(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → what keys and values of the whole are made of, (B, C, rows, columns)."""
        z = F.gelu(self.reduce(x))
        rows, columns = (pooling_matrix(size, self._cells(size), z) for size in x.shape[2:])
        pooled = rows @ (z @ columns.t())
        return self.norm(pooled.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    def _far(self, x: Tensor) -> Tensor:
        """Return the bias of every pooled position for every position of x, (heads, P, N)."""
        tables, at = [], []
        for size in x.shape[2:]:
            distance, index = distances_to_cells(size, self._cells(size), x)
            side = size if self.pretrain_size is None else self.pretrain_size
            relative = 8 * distance / (side - 1 + (side == 1))
            tables.append(relative.sign() * (relative.abs() + 1).log2() / 3)
            at.append(index)
        # The first layer is a sum of what rows and columns give, so that no pair of both is stored before it.
        by_axis = [table.unsqueeze(1) * upcast(self.fc1.weight)[:, axis] for axis, table in enumerate(tables)]
        hidden = torch.relu(by_axis[0].unsqueeze(1) + by_axis[1] + upcast(self.fc1.bias))
        table = F.linear(hidden, upcast(self.fc2.weight), upcast(self.fc2.bias))  # (rows, columns, heads)
        place = at[0].t()[:, None, :, None] * table.shape[1] + at[1].t()[None, :, None, :]
        bias = table.flatten(0, 1).t().contiguous().index_select(1, place.flatten())
        return split_axis(bias, 1, (-1, x.shape[2] * x.shape[3]))

    def _attend(self, query: Tensor, near: tuple[Tensor, Tensor], far: tuple[Tensor, Tensor]) -> Tensor:
        """Map (B, C, H, W) of queries, two of keys and values, two (B, C, rows, columns) of pooled ones."""
        size, area = query.shape[2:], self.kernel_size**2
        q, k, far_k = (F.normalize(self._split(part), dim=2) for part in (query, near[0], far[0]))
        v, far_v = self._split(near[1]), self._split(far[1])
        inside = torch.cat(neighbours(torch.ones_like(q[:1, :1, :1]).reshape(1, 1, *size), self.kernel_size), 1)
        count = inside.sum(1).flatten(1) + far_k.shape[3]  # (1, N)
        scaled = (q + upcast(self.embedding)) * F.softplus(upcast(self.temperature)) * count.log()
        wide = split_axis(scaled, 3, size)
        keys = neighbours(split_axis(k, 3, size), self.kernel_size)
        logits = torch.stack([(wide * key).sum(2) for key in keys], 2) + upcast(self.near)[..., None, None]
        logits = logits.masked_fill(inside.unsqueeze(1) == 0, float("-inf")).flatten(3)  # (B, heads, k², N)
        pooled = far_k.transpose(2, 3) @ scaled + self._far(upcast(query))
        weights = torch.cat((logits, pooled), 2).softmax(2)
        local = weights[:, :, :area] + upcast(self.tokens) @ q + upcast(self.token_bias)
        out = far_v @ weights[:, :, area:]
        for place, value in enumerate(neighbours(split_axis(v, 3, size), self.kernel_size)):
            out = out + local[:, :, place].unsqueeze(2) * value.flatten(3)
        return split_axis(out.flatten(1, 2), 2, size)

    def forward(self, x: Tensor) -> Tensor:
        """Attend to neighbours and the whole of x (B, C, H, W)."""
        key, value = self.key_value(x).chunk(2, 1)
        far_key, far_value = self.key_value(self._pooled(x)).chunk(2, 1)
        query = self.query(x)
        with full_precision(x):
            out = self._attend(query, (key, value), (far_key, far_value))
        return keep_format(self.out(out.to(query.dtype)), x)
