"""ACmix: convolution and self-attention from the same three projections."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attention.layers.checks import largest_divisor, odd, positive
from attention.layers.tensor_ops import keep_format, split_axis, upcast
from attention.registry import ATTENTION


def reflect(x: Tensor, margin: int) -> Tensor:
    """Continue a map beyond its border by its mirror image, as often as a small map needs.

    Args:
        x: (B, C, H, W).
        margin: positions on every side.

    Returns:
        (B, C, H + 2 · margin, W + 2 · margin).
    """
    # While tracing by positions, which hold for every size: a graph's own reflection does for larger maps only.
    if not torch.jit.is_tracing() and min(x.shape[2:]) > margin:
        return F.pad(x, (margin,) * 4, mode="reflect")
    for axis, size in enumerate(x.shape[2:], 2):
        period = 2 * (size - 1) + (size == 1)
        at = torch.arange(size + 2 * margin, device=x.device).sub(margin).remainder(period)
        x = x.index_select(axis, torch.where(at < size, at, period - at))
    return x


@ATTENTION.register("ACmix")
class ACmix(nn.Module):
    """Add a local self-attention and a convolution that are made of the same queries, keys and values.

    aᵢ = Σⱼ softmaxⱼ(qᵢᵀ(kⱼ + P pᵢ − P pⱼ) / √d) vⱼ over a 7 × 7 window;  c = conv₃(F [q; k; v]);  y = α a + β c

    p are the coordinates from −1 to 1. F mixes the 3h heads' parts to nine maps for each of the C / h channels of a
    head; conv₃, grouped by these, starts as nine shifts.

    Args:
        channels: C of input and output, ≥ 1.
        heads: wanted number of heads h; the largest divisor of C that does not exceed it is used.
        kernel_size: side of the attention's window, odd.
        conv_kernel: of the convolution, odd.

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format.

    Raises:
        ValueError: if a kernel is even or an argument is out of range.

    Source:
        Pan et al., On the Integration of Self-Attention and Convolution (ACmix), CVPR 2022, arXiv:2111.14556, §4;
        authors' code LeapLabTHU/ACmix ResNet/test_bottleneck.py (ACmix). Differs: P has no bias, which cancels; maps
        smaller than half a window are mirrored more than once.
    """

    def __init__(self, channels: int, heads: int = 4, *, kernel_size: int = 7, conv_kernel: int = 3) -> None:
        super().__init__()
        positive(channels=channels, heads=heads)
        odd(kernel_size=kernel_size, conv_kernel=conv_kernel)
        self.heads = largest_divisor(channels, heads, "heads")
        self.kernel_size = kernel_size
        self.width = width = channels // self.heads
        area = conv_kernel**2
        self.scale = width**-0.5
        self.query = nn.Conv2d(channels, channels, 1)
        self.key = nn.Conv2d(channels, channels, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.position = nn.Conv2d(2, width, 1, bias=False)
        self.mix = nn.Conv1d(3 * self.heads, area, 1, bias=False)
        self.conv = nn.Conv2d(area * width, channels, conv_kernel, padding=conv_kernel // 2, groups=width, bias=False)
        with torch.no_grad():
            self.conv.weight.copy_(torch.eye(area).reshape(area, conv_kernel, conv_kernel))
        self.alpha = nn.Parameter(torch.full((1,), 0.5))
        self.beta = nn.Parameter(torch.full((1,), 0.5))

    def _positions(self, x: Tensor) -> Tensor:
        """(1, d, H, W)."""
        height, width = x.shape[2], x.shape[3]
        rows, columns = (
            2 * torch.arange(size, device=x.device).to(x.dtype) / (size - 1 + (size == 1)) - 1
            for size in (height, width)
        )
        grid = torch.stack((columns.expand(height, -1), rows.unsqueeze(1).expand(-1, width)))
        return self.position(grid.unsqueeze(0))

    def _attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """All (B, C, H, W)."""
        positions = self._positions(query).repeat(1, self.heads, 1, 1)
        margin = self.kernel_size // 2
        ends = [slice(i, i + 1 - self.kernel_size or None) for i in range(self.kernel_size)]
        windows = [(rows, columns) for rows in ends for columns in ends]
        # What q meets of its own position is the same for all keys, so the softmax does not see it.
        keys = split_axis(reflect(key - positions, margin), 1, (self.heads, -1))
        values = split_axis(reflect(value, margin), 1, (self.heads, -1))
        scaled = upcast(split_axis(query, 1, (self.heads, -1))) * self.scale
        logits = torch.stack([(scaled * keys[..., rows, columns]).sum(2) for rows, columns in windows], 2)
        weights = logits.softmax(2).to(value.dtype)  # (B, heads, k², H, W)
        out = torch.zeros_like(split_axis(value, 1, (self.heads, -1)))
        for place, (rows, columns) in enumerate(windows):
            out = out + weights[:, :, place].unsqueeze(2) * values[..., rows, columns]
        return out.flatten(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Attend and convolve x (B, C, H, W)."""
        query, key, value = self.query(x), self.key(x), self.value(x)
        parts = [split_axis(part.flatten(2), 1, (self.heads, -1)) for part in (query, key, value)]  # (B, h, d, N)
        mixed = split_axis(self.mix(torch.cat(parts, 1).flatten(2)), 2, (self.width, -1))  # (B, 9, d, N)
        nine = split_axis(mixed.transpose(1, 2).flatten(1, 2), 2, x.shape[2:])
        alpha, beta = self.alpha.to(query.dtype), self.beta.to(query.dtype)
        return keep_format(alpha * self._attend(query, key, value) + beta * self.conv(nine), x)
