"""Attention within windows, after Swin."""

from typing import Any

from torch import Tensor, nn
from torch.nn.functional import linear, pad, scaled_dot_product_attention

from models.blocks.convolution import numbers_at_most
from models.catalog.channel_rules import Call, Reads, Scale, integer
from models.catalog.fusion_rules import written_channels
from models.catalog.registry import register_block


def _swin(args: tuple[Any, ...], number: int, reads: Reads, scale: Scale) -> Call:
    """Read SwinBlock rows `[channels, heads, window]`, which keep the channels."""
    channels, stride = reads.one()
    numbers_at_most(args, 3, "channels, heads, window")
    written_channels(args, 0, "channels", channels, scale)
    heads, window = integer(args, 1, "heads", 2), integer(args, 2, "window", 7)
    if channels % heads or window > 64:
        raise ValueError(f"{heads} heads on {channels} channels in windows of {window}: heads must divide the channels")
    return Call((channels, heads, window), channels, stride, number)


@register_block(_swin)
class SwinBlock(nn.Module):
    """Attention within windows, then an MLP of four times the width; each added to what it read.

    Args:
        channels: C of input and output.
        num_heads: of the attention.
        window_size: side of a window; the map is padded with zeros to whole windows.

    Shape:
        input and output (B, C, H, W).

    Source:
        Liu et al., Swin Transformer, ICCV 2021, arXiv:2103.14030, eq. 3, without shifted windows and position bias, as
        forks of ultralytics have it.
    """

    def __init__(self, channels: int, num_heads: int = 2, window_size: int = 7) -> None:
        super().__init__()
        self.window_size = window_size
        self.norm1 = nn.LayerNorm(channels)
        self.attn = nn.MultiheadAttention(channels, num_heads, batch_first=True)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = nn.Sequential(nn.Linear(channels, 4 * channels), nn.GELU(), nn.Linear(4 * channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        """Attend within windows."""
        batch, c, height, width = x.shape
        size = self.window_size
        x = pad(x, (0, -width % size, 0, -height % size))
        rows, columns = x.shape[2] // size, x.shape[3] // size
        windows = x.view(batch, c, rows, size, columns, size).permute(0, 2, 4, 3, 5, 1).reshape(-1, size * size, c)
        windows = self.norm1(windows)
        windows = windows + self._attend(windows)
        windows = windows + self.mlp(self.norm2(windows))
        x = windows.view(batch, rows, columns, size, size, c).permute(0, 5, 1, 3, 2, 4)
        return x.reshape(batch, c, rows * size, columns * size)[:, :, :height, :width]

    def _attend(self, x: Tensor) -> Tensor:
        """Attend (windows, positions, C) by the layer's own weights; its fast path cannot be exported."""
        layer = self.attn
        count, positions, c = x.shape
        projected = linear(x, layer.in_proj_weight, layer.in_proj_bias)
        split = projected.view(count, positions, 3, layer.num_heads, c // layer.num_heads).permute(2, 0, 3, 1, 4)
        query, key, value = split.unbind(0)
        attended = scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(count, positions, c)
        out: Tensor = layer.out_proj(attended)
        return out
