"""CloAtt: local attention by gates, global attention by pooled keys."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attention.layers.checks import largest_divisor, odd, positive
from attention.layers.tensor_ops import dot_product_attention, from_tokens, keep_format, tokens
from attention.registry import ATTENTION


class LocalBranch(nn.Module):
    """v ⊙ tanh(W₂ SiLU(W₁(q ⊙ k)) / √d), with q, k, v from a 1 × 1 and a depthwise convolution.

    Args:
        channels: C of the input.
        out: channels of the output.
        scale: 1 / √d.
        kernel_size: of the depthwise convolution, odd.

    Shape:
        (B, C, H, W) → (B, out, H, W).
    """

    def __init__(self, channels: int, out: int, scale: float, kernel_size: int) -> None:
        super().__init__()
        self.scale = scale
        self.qkv = nn.Conv2d(channels, 3 * out, 1)
        self.local = nn.Conv2d(3 * out, 3 * out, kernel_size, padding=kernel_size // 2, groups=3 * out)
        self.compare = nn.Sequential(nn.Conv2d(out, out, 1), nn.SiLU(), nn.Conv2d(out, out, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Gate the values."""
        query, key, value = self.local(self.qkv(x)).chunk(3, 1)
        return value * torch.tanh(self.compare(query * key) * self.scale)


class GlobalBranch(nn.Module):
    """Softmax attention to the means of windows.

    Args:
        channels: C of the input.
        heads: number of heads.
        width: channels of a head.
        window: side of a window.

    Shape:
        (B, C, H, W) → (B, heads · width, H, W).
    """

    def __init__(self, channels: int, heads: int, width: int, window: int) -> None:
        super().__init__()
        self.heads = heads
        self.scale = width**-0.5
        self.window = window
        self.query = nn.Conv2d(channels, heads * width, 1)
        self.key_value = nn.Conv2d(channels, 2 * heads * width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Attend."""
        pooled = F.avg_pool2d(x, self.window, ceil_mode=True) if self.window > 1 else x
        query = tokens(self.query(x), self.heads)
        key, value = (tokens(part, self.heads) for part in self.key_value(pooled).chunk(2, 1))
        return from_tokens(dot_product_attention(query, key, value, self.scale), x)


@ATTENTION.register("CloAtt", "CloFormer")
class CloAtt(nn.Module):
    """Give some heads a local gate made of content and the others softmax attention to a pooled map.

    local: l = v ⊙ tanh(W₂ SiLU(W₁(q ⊙ k)) / √d), [q; k; v] = dw(W x);  global: g = softmax(qᵀk̄ / √d) v̄ with k̄, v̄
    from means of windows;  y = W_o[l; g]

    Args:
        channels: C of input and output, ≥ 1.
        heads: wanted number of heads; the largest divisor of C that does not exceed it is used.
        local: share of the heads that are local, rounded down (½ in most stages of the authors' networks).
        kernel_size: of the depthwise convolution, odd; 3, 5, 7 and 9 in the stages of the authors' networks.
        window: side of the windows whose means the global heads attend to; 8, 4, 2 and 1 in these stages.

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format. A product of maps: prefer bfloat16 to
        float16.

    Raises:
        ValueError: if kernel_size is even, local not within 0 … 1, or an argument out of range.

    Source:
        Fan et al., Rethinking Local Perception in Lightweight Vision Transformer (CloFormer), 2023, arXiv:2303.17803,
        §3.2; authors' code qhfan/CloFormer classification/models/blocks.py (EfficientAttention, as in the third stage
        of cloformer_xxs). Differs: windows at the border may be smaller, where theirs needs a map that they fill; one
        kernel size.
    """

    def __init__(
        self, channels: int, heads: int = 8, local: float = 0.5, *, kernel_size: int = 7, window: int = 2
    ) -> None:
        super().__init__()
        positive(channels=channels, heads=heads, window=window)
        odd(kernel_size=kernel_size)
        if not 0 <= local <= 1:
            raise ValueError(f"local={local!r}, expected a number from 0 to 1")
        heads = largest_divisor(channels, heads, "heads")
        width, near = channels // heads, int(heads * local)
        branches: list[nn.Module] = []
        if near:
            branches.append(LocalBranch(channels, near * width, width**-0.5, kernel_size))
        if heads > near:
            branches.append(GlobalBranch(channels, heads - near, width, window))
        self.branches = nn.ModuleList(branches)
        self.out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Gate and attend in x (B, C, H, W)."""
        return keep_format(self.out(torch.cat([branch(x) for branch in self.branches], 1)), x)
