"""AreaAttention: self-attention within strips of the map."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attention.layers.checks import largest_divisor, odd, positive
from attention.layers.conv_norm import ConvNorm
from attention.layers.tensor_ops import dot_product_attention, exporting, keep_format, split_axis
from attention.registry import ATTENTION


@ATTENTION.register("AreaAttention", "AAttn", "A2")
class AreaAttention(nn.Module):
    """Multi-head self-attention, each position only to its own strip of the map, plus a depthwise positional term.

    q, k, v = BN(W x);  within each of `area` equal runs of the row-major positions o = softmax(qᵀk / √d) v;
    y = BN(W_p(o + BN(dw(v))))

    Where the number of positions is no multiple of `area`, the last run is shorter.

    Args:
        channels: C of input and output, ≥ 1.
        area: number of runs; 1 is attention to the whole map.
        head_width: wanted channels per head; there are as many heads as the largest divisor of C up to C // head_width.
        kernel_size: of the depthwise positional convolution, odd (5 in the authors' release, 7 in other versions).

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format.

    Raises:
        ValueError: if kernel_size is even or an argument is out of range.

    Source:
        Tian, Ye, Doermann, YOLOv12, 2025, arXiv:2502.12524, §3.2; authors' code sunsmarterjie/yolov12
        ultralytics/nn/modules/block.py (AAttn). Differs: any number of positions; no cast to half precision.
    """

    def __init__(self, channels: int, area: int = 4, *, head_width: int = 32, kernel_size: int = 5) -> None:
        super().__init__()
        positive(channels=channels, area=area, head_width=head_width)
        odd(kernel_size=kernel_size)
        self.area = area
        self.heads = largest_divisor(channels, max(channels // head_width, 1))
        self.scale = (channels // self.heads) ** -0.5
        self.query_key = ConvNorm(channels, 2 * channels)
        self.value = ConvNorm(channels, channels)
        self.position = ConvNorm(channels, channels, kernel_size, groups=channels)
        self.out = ConvNorm(channels, channels)

    def _runs(self, x: Tensor, pad: int) -> Tensor:
        """(B, C, H, W) → (B · area, heads, positions of a run, C / heads)."""
        flat = F.pad(x.flatten(2), (0, pad)) if exporting() or pad else x.flatten(2)
        split = split_axis(split_axis(flat, 2, (self.area, -1)), 1, (self.heads, -1))  # (B, heads, d, area, n)
        return split.permute(0, 3, 1, 4, 2).flatten(0, 1).contiguous()

    def forward(self, x: Tensor) -> Tensor:
        """Attend within the strips of x (B, C, H, W)."""
        query, key = self.query_key(x).chunk(2, 1)
        value = self.value(x)
        count = x.shape[2] * x.shape[3]
        pad = -count % self.area
        mask = self._mask(x, value, count, pad) if exporting() or pad else None
        runs = [self._runs(part, pad) for part in (query, key, value)]
        out = dot_product_attention(runs[0], runs[1], runs[2], self.scale, mask)
        out = split_axis(out, 0, (-1, self.area)).permute(0, 2, 4, 1, 3).flatten(3).flatten(1, 2)[..., :count]
        return keep_format(self.out(split_axis(out, 2, x.shape[2:]) + self.position(value)), x)

    def _mask(self, x: Tensor, value: Tensor, count: int, pad: int) -> Tensor:
        """Bar the padding, (B · area, 1, 1, n): a large negative number, since a run may hold nothing but padding."""
        outside = torch.arange(count + pad, device=x.device) >= count
        bar = outside.to(value.dtype) * (torch.finfo(value.dtype).min / 2)
        return split_axis(bar, 0, (self.area, -1)).repeat(x.shape[0], 1)[:, None, None]
