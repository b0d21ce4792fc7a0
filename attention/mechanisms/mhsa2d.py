"""MHSA2D: multi-head self-attention with relative positions."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attention.layers.checks import largest_divisor, positive
from attention.layers.tensor_ops import dot_product_attention, from_tokens, keep_format, one_hot, split_axis, tokens
from attention.registry import ATTENTION


@ATTENTION.register("MHSA2D", "MHSA", "BoTAttention")
class MHSA2D(nn.Module):
    """Let every position gather from all positions by content and by relative position, in several heads.

    aᵢⱼ = softmaxⱼ(qᵢᵀ(kⱼ + Rʰ[yⱼ − yᵢ] + Rʷ[xⱼ − xᵢ]) / √d);  yᵢ = Σⱼ aᵢⱼ vⱼ

    The position terms ride along as extra components of q and k (qᵀRʰ, qᵀRʷ against one-hot rows and columns), so no
    matrix of all pairs is held in memory.

    Args:
        channels: C of input and output, ≥ 1.
        heads: wanted number of heads; the largest divisor of C that does not exceed it is used.
        position: whether the relative positions take part.
        max_size: offsets up to max_size − 1 have their own entry; farther ones share the last, so any map size works.
        bias: whether q, k and v have biases (the authors have none).
        scaled: whether the logits are divided by √d; widely copied code leaves it out.

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format.

    Raises:
        ValueError: if an argument is out of range.

    Source:
        Srinivas et al., Bottleneck Transformers, CVPR 2021, arXiv:2101.11605, §3.1 and fig. 4. Differs: tables of a
        fixed reach instead of tables tied to one map size; equal up to max_size × max_size.
    """

    def __init__(
        self,
        channels: int,
        heads: int = 4,
        *,
        position: bool = True,
        max_size: int = 32,
        bias: bool = False,
        scaled: bool = True,
    ) -> None:
        super().__init__()
        positive(channels=channels, heads=heads, max_size=max_size)
        self.heads = largest_divisor(channels, heads, "heads")
        self.width = channels // self.heads
        self.scale = self.width**-0.5 if scaled else 1.0
        self.max_size = max_size
        self.qkv = nn.Conv2d(channels, 3 * channels, 1, bias=bias)
        self.position = position
        if position:
            self.rows = nn.Parameter(torch.randn(2 * max_size - 1, self.width) * self.width**-0.5)
            self.columns = nn.Parameter(torch.randn(2 * max_size - 1, self.width) * self.width**-0.5)

    def _relative(self, table: Tensor, size: int) -> Tensor:
        """Return the entries for all pairs along one axis, (size of query, size of key, d)."""
        at = torch.arange(size, device=table.device)
        # Clamped as float: operator set 11 of ONNX clamps no whole numbers.
        offset = (at[None, :] - at[:, None]).float().clamp(1 - self.max_size, self.max_size - 1).long()
        return table[offset + self.max_size - 1]

    def forward(self, x: Tensor) -> Tensor:
        """Gather for every position of x (B, C, H, W)."""
        query, key, value = (tokens(part, self.heads) for part in self.qkv(x).chunk(3, 1))
        if self.position:
            query, key = self._with_positions(query, key, x)
            value = F.pad(value, (0, x.shape[2] + x.shape[3]))  # the memory-saving kernels want equal widths
        out = dot_product_attention(query, key, value, self.scale)[..., : self.width]
        return keep_format(from_tokens(out, x).reshape(x.shape), x)

    def _with_positions(self, query: Tensor, key: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Append the position terms: (B, heads, N, d) → (B, heads, N, d + H + W), both."""
        batch, height, width = x.shape[0], x.shape[2], x.shape[3]  # of x: exporters take other sizes for constants
        grid = split_axis(query, 2, (height, width))
        of_rows, of_columns = (
            self._relative(table, size).to(query.dtype) for table, size in ((self.rows, height), (self.columns, width))
        )
        if torch.onnx.is_in_onnx_export():  # which knows einsum from operator set 12 on only
            rows = grid @ of_rows.transpose(1, 2)[None, None]
            columns = (grid.transpose(2, 3) @ of_columns.transpose(1, 2)[None, None]).transpose(2, 3)
        else:
            rows = torch.einsum("bhyxd,ykd->bhyxk", grid, of_rows)
            columns = torch.einsum("bhyxd,xkd->bhyxk", grid, of_columns)
        in_row = one_hot(height, key)[:, None].expand(height, width, height)
        in_column = one_hot(width, key)[None].expand(height, width, width)
        places = torch.cat((in_row, in_column), -1).flatten(0, 1)[None, None]  # (1, 1, N, H + W)
        query = torch.cat((query, rows.flatten(2, 3).to(query.dtype), columns.flatten(2, 3).to(query.dtype)), -1)
        return query, torch.cat((key, places.expand(batch, self.heads, -1, -1)), -1)
