"""C3 with Swin transformer layers in the place of its bottlenecks, as forks of YOLOv5 have it: C3STR."""

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from attention.layers.tensor_ops import dot_product_attention
from models.blocks.c3 import C3Branches
from models.catalog.channel_rules import scaled
from models.catalog.registry import register_block

HEAD_CHANNELS = 32  # channels of a head
APART = -100.0  # added to the logits of positions that only the shift brought together


class WindowAttention(nn.Module):
    """Attention among the positions of a window, with a learned bias for each relative position.

    Args:
        channels: C, a multiple of heads.
        window: side of a window.
        heads: of the attention.
    """

    def __init__(self, channels: int, window: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.relative_position_bias_table = nn.Parameter(torch.empty((2 * window - 1) ** 2, heads))
        nn.init.normal_(self.relative_position_bias_table, std=0.02)
        rows, columns = torch.arange(window**2) // window, torch.arange(window**2) % window
        offset_y, offset_x = (at[:, None] - at[None] + window - 1 for at in (rows, columns))
        self.relative_position_index: Tensor
        self.register_buffer("relative_position_index", offset_y * (2 * window - 1) + offset_x)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)

    def forward(self, x: Tensor, apart: Tensor | None) -> Tensor:
        """Attend within windows.

        Args:
            x: (images · windows, positions N, C), the windows of an image one after the other.
            apart: added to the logits, (windows, N, N); None adds nothing.
        """
        count, positions, channels = x.shape
        width = channels // self.heads
        query, key, value = self.qkv(x).view(count, positions, 3, self.heads, width).permute(2, 0, 3, 1, 4).unbind(0)
        bias = self.relative_position_bias_table[self.relative_position_index].permute(2, 0, 1)[None]
        if apart is not None:
            bias = (bias + apart[:, None].to(bias.dtype)).repeat(count // apart.shape[0], 1, 1, 1)
        out = dot_product_attention(query, key, value, width**-0.5, bias.to(query.dtype))
        attended: Tensor = self.proj(out.transpose(1, 2).reshape(count, positions, channels))
        return attended


class Perceptron(nn.Module):
    """Two linear layers with an activation between them, four times as wide within."""

    def __init__(self, channels: int, act: nn.Module) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, 4 * channels)
        self.act = act
        self.fc2 = nn.Linear(4 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Transform each position."""
        out: Tensor = self.fc2(self.act(self.fc1(x)))
        return out


class SwinLayer(nn.Module):
    """Attention within windows, then a perceptron; each added to what it read.

    Args:
        channels: C of input and output.
        heads: of the attention.
        window: side of a window; the map is padded with zeros to whole windows.
        shift: pixels by which the windows are shifted, round the border.
        act: activation of the perceptron.
    """

    def __init__(self, channels: int, heads: int, window: int, shift: int, act: nn.Module) -> None:
        super().__init__()
        self.window, self.shift = window, shift
        self.norm1 = nn.LayerNorm(channels)
        self.attn = WindowAttention(channels, window, heads)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = Perceptron(channels, act)

    def forward(self, x: Tensor) -> Tensor:
        """Attend within windows of x (B, C, H, W)."""
        height, width = x.shape[2:]
        x = pad(x, (0, -width % self.window, 0, -height % self.window)).permute(0, 2, 3, 1)
        shifted = self.norm1(x)
        apart = None
        if self.shift:
            shifted = shifted.roll((-self.shift, -self.shift), (1, 2))
            apart = self._apart(x)
        attended = self._joined(self.attn(self._split(shifted), apart), x)
        if self.shift:
            attended = attended.roll((self.shift, self.shift), (1, 2))
        x = x + attended
        x = x + self.mlp(self.norm2(x))
        return x.permute(0, 3, 1, 2)[:, :, :height, :width].contiguous()

    def _split(self, x: Tensor) -> Tensor:
        """Return the windows of a map (B, H, W, C), each as its positions: (B · windows, N, C)."""
        batch, height, width, channels = x.shape
        size = self.window
        x = x.reshape(batch, height // size, size, width // size, size, channels)
        return x.transpose(2, 3).reshape(-1, size * size, channels)

    def _joined(self, windows: Tensor, x: Tensor) -> Tensor:
        """Return windows as a map of the shape of x (B, H, W, C)."""
        batch, height, width, channels = x.shape
        size = self.window
        windows = windows.view(batch, height // size, width // size, size, size, channels)
        return windows.transpose(2, 3).reshape(batch, height, width, channels)

    def _apart(self, x: Tensor) -> Tensor:
        """Return what is added to the logits of each window, (windows, N, N), for a map (B, H, W, C)."""
        part_y, part_x = (
            (at >= length - self.window).long() + (at >= length - self.shift).long()
            for length in x.shape[1:3]
            for at in (torch.arange(length, device=x.device),)
        )
        part = self._split((3 * part_y[:, None] + part_x)[None, :, :, None]).squeeze(2)
        return (part[:, :, None] != part[:, None]).to(x.dtype) * APART


class SwinLayers(nn.Module):
    """Layers in a row, every second one with shifted windows."""

    def __init__(self, channels: int, heads: int, number: int, act: nn.Module, window: int = 8) -> None:
        super().__init__()
        layers = (SwinLayer(channels, heads, window, window // 2 * (i % 2), act) for i in range(number))
        self.blocks = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layers in order."""
        out: Tensor = self.blocks(x)
        return out


@register_block(scaled(repeats=True))
class C3STR(C3Branches):
    """C3 whose bottlenecks are Swin transformer layers with windows of 8 and heads of 32 channels.

    Args:
        c1, c2: as C3Branches.
        n: how many layers.
        shortcut, g: taken and without effect, as in the forks.
        e: width of the branches over c2; at least 32 channels, which their number of heads, a 32nd, must divide.
        act: activation of the perceptrons, GELU by default; some forks have SiLU.

    Raises:
        ValueError: if the branches do not divide into heads.

    Source:
        Liu et al., Swin Transformer, ICCV 2021, arXiv:2103.14030, §3.2, in the form that YOLOAir published.
    """

    def __init__(
        self,
        c1: int,
        c2: int,
        n: int = 1,
        shortcut: bool = True,
        g: int = 1,
        e: float = 0.5,
        act: nn.Module | None = None,
    ) -> None:
        super().__init__(c1, c2, e)
        heads = self.hidden // HEAD_CHANNELS
        if heads == 0 or self.hidden % heads:
            raise ValueError(
                f"branches of {self.hidden} channels do not divide into heads of {HEAD_CHANNELS}: write channels that "
                f"are a multiple of {round(HEAD_CHANNELS / e)} after the width"
            )
        self.m = SwinLayers(self.hidden, heads, n, act or nn.GELU())
