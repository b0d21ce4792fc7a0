"""OutlookAttention: weights for a neighbourhood straight from its centre."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attention.layers.checks import largest_divisor, odd, positive
from attention.layers.tensor_ops import keep_format, neighbours, split_axis, upcast
from attention.registry import ATTENTION


@ATTENTION.register("OutlookAttention", "VOLO")
class OutlookAttention(nn.Module):
    """Let the centre of every k × k window say how its members mix, without comparing any two of them.

    A_p = softmax(W_a x_p · d^−½), k² × k² per head;  u_p = A_p · window_p(W_v x);  y = W(sum of the overlapping u)

    Args:
        channels: C of input and output, ≥ 1.
        heads: wanted number of heads; the largest divisor of C that does not exceed it is used.
        kernel_size: k, odd.

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format.

    Raises:
        ValueError: if kernel_size is even or an argument is out of range.

    Source:
        Yuan et al., VOLO, TPAMI 2022, arXiv:2106.13112, §3.1; authors' code sail-sg/volo models/volo.py. Differs:
        channels first; shifted views where theirs unfolds and folds (the same function); stride 1.
    """

    def __init__(self, channels: int, heads: int = 4, *, kernel_size: int = 3) -> None:
        super().__init__()
        positive(channels=channels)
        odd(kernel_size=kernel_size)
        self.heads = largest_divisor(channels, heads, "heads")
        self.kernel_size = kernel_size
        self.scale = (channels // self.heads) ** -0.5
        self.value = nn.Conv2d(channels, channels, 1, bias=False)
        self.weigh = nn.Conv2d(channels, self.heads * kernel_size**4, 1)
        self.out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Mix the windows of x (B, C, H, W)."""
        area, height, width = self.kernel_size**2, x.shape[2], x.shape[3]
        logits = split_axis(upcast(self.weigh(x)).flatten(2), 1, (self.heads, area, area)) * self.scale
        weights = logits.softmax(3).permute(0, 1, 4, 2, 3)  # (B, heads, N, k², k²)
        value = split_axis(self.value(x), 1, (self.heads, -1))
        windows = torch.stack(neighbours(value, self.kernel_size), 2).flatten(4)  # (B, heads, k², d, N)
        mixed = weights.to(value.dtype) @ windows.permute(0, 1, 4, 2, 3)  # (B, heads, N, k², d)
        mixed = split_axis(mixed.permute(0, 3, 1, 4, 2), 4, (height, width)).flatten(2, 3)  # (B, k², C, H, W)
        last = self.kernel_size - 1
        folded = torch.zeros_like(F.pad(mixed[:, 0], (0, last, 0, last)))
        for i in range(area):
            down, right = divmod(i, self.kernel_size)
            folded = folded + F.pad(mixed[:, i], (right, last - right, down, last - down))
        half = last // 2
        return keep_format(self.out(folded[..., half : half + height, half : half + width]), x)
