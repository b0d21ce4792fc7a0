"""DeformableAttention: self-attention to positions that move with the image."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attention.layers.checks import largest_divisor, odd, positive
from attention.layers.tensor_ops import dot_product_attention, from_tokens, keep_format, split_axis, tokens, upcast
from attention.registry import ATTENTION


class OffsetNet(nn.Module):
    """W GELU(LN(dw_k(q))): two offsets for every sampled position.

    Args:
        channels: of a group.
        kernel_size: of the depthwise convolution.
        stride: of the same.

    Shape:
        (B, C, H, W) → (B, H/stride, W/stride, 2), row offset first.
    """

    def __init__(self, channels: int, kernel_size: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, kernel_size, stride, kernel_size // 2, groups=channels)
        self.norm = nn.LayerNorm(channels)
        self.out = nn.Linear(channels, 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the raw offsets."""
        return self.out(F.gelu(self.norm(self.conv(x).permute(0, 2, 3, 1))))


@ATTENTION.register("DeformableAttention", "DAT", "DAttention", "DAttentionBaseline")
class DeformableAttention(nn.Module):
    """Sample keys and values where the image itself points, shared by all queries, and attend to the samples.

    Δ = range · tanh(offset net of q) / (size − 1);  x̃ = bilinear samples of x at a regular grid + Δ;
    y = W_o(softmax(qᵀ(W_k x̃) / √d)(W_v x̃) + dw₃(q))

    Args:
        channels: C of input and output, ≥ 1.
        heads: wanted number of heads; the largest divisor of C that does not exceed it is used.
        groups: wanted groups of channels with offsets of their own; the largest divisor of C up to it is used.
        kernel_size: of the offset network, odd.
        stride: sample every stride-th position, for fewer keys.
        offset_range: in sampled positions.
        position: whether the depthwise positional term takes part. It stands for the authors' table of position biases,
            which is tied to one map size; the term is an option of their code.

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format.

    Raises:
        ValueError: if kernel_size is even or an argument is out of range.

    Source:
        Xia et al., Vision Transformer with Deformable Attention, CVPR 2022, arXiv:2201.00520, §3.2; authors' code
        LeapLabTHU/DAT models/dat_blocks.py (DAttentionBaseline, with its grid (i + ½) / (n − 1) and its dwc_pe).
        Differs: returns the map only.
    """

    def __init__(
        self,
        channels: int,
        heads: int = 4,
        groups: int = 2,
        *,
        kernel_size: int = 5,
        stride: int = 1,
        offset_range: float = 2.0,
        position: bool = True,
    ) -> None:
        super().__init__()
        positive(channels=channels, heads=heads, groups=groups, stride=stride)
        odd(kernel_size=kernel_size)
        self.heads = largest_divisor(channels, heads, "heads")
        self.groups = largest_divisor(channels, groups)
        self.scale = (channels // self.heads) ** -0.5
        self.offset_range = offset_range
        self.offsets = OffsetNet(channels // self.groups, kernel_size, stride)
        self.query = nn.Conv2d(channels, channels, 1)
        self.key = nn.Conv2d(channels, channels, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.position = nn.Conv2d(channels, channels, 3, padding=1, groups=channels) if position else None
        self.out = nn.Conv2d(channels, channels, 1)

    def _sample(self, x: Tensor, query: Tensor) -> Tensor:
        """Sample x, (B, C, h, w)."""
        offsets = upcast(self.offsets(split_axis(query, 1, (self.groups, -1)).flatten(0, 1)))  # (B·g, h, w, 2)
        stride = self.offsets.conv.stride[0]
        height, width = ((n - 1) // stride + 1 for n in x.shape[2:])  # of the offsets
        # A single sample has no spacing: n − 1 becomes 1.
        tall, wide = (n - 1 + (n == 1) for n in (height, width))
        rows = (torch.arange(height, device=x.device).to(offsets.dtype) + 0.5) / tall * 2 - 1
        columns = (torch.arange(width, device=x.device).to(offsets.dtype) + 0.5) / wide * 2 - 1
        moved = offsets.tanh() * self.offset_range
        at = torch.stack((columns + moved[..., 1] / wide, rows.unsqueeze(1) + moved[..., 0] / tall), -1)  # x, y
        maps = split_axis(upcast(x), 1, (self.groups, -1)).flatten(0, 1)
        sampled = F.grid_sample(maps, at, mode="bilinear", align_corners=True)
        return split_axis(sampled, 0, (-1, self.groups)).flatten(1, 2).to(x.dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Attend to samples of x (B, C, H, W)."""
        query = self.query(x)
        samples = self._sample(x, query)
        key, value = (tokens(layer(samples), self.heads) for layer in (self.key, self.value))
        out = from_tokens(dot_product_attention(tokens(query, self.heads), key, value, self.scale), x)
        if self.position is not None:
            out = out + self.position(query)
        return keep_format(self.out(out), x)
