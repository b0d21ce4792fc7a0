"""SplitAttention: the unit of ResNeSt."""

import torch
from torch import Tensor, nn

from attention.layers.checks import largest_divisor, odd, positive
from attention.layers.conv_norm import BatchNorm1d, ConvNorm, Merging
from attention.layers.gating import gate_channels, weighted_sum
from attention.layers.pooling import pool_mean
from attention.layers.tensor_ops import split_axis
from attention.registry import ATTENTION


@ATTENTION.register("SplitAttention", "SplAt", "ResNeSt", "SplAtConv2d")
class SplitAttention(Merging):
    """Compute several feature maps from groups of the input and mix them per channel by their common statistics.

    u = δ(BN(conv C → rC));  z = δ(BN(W₁ GAP(Σᵣ uᵣ)));  y = Σᵣ aᵣ ⊙ uᵣ, a = softmax over r of W₂ z (σ if r = 1)

    Args:
        channels: C of input and output, ≥ 1.
        radix: r, number of maps.
        groups: wanted cardinality g; the largest divisor of C that does not exceed it is used, and the convolution has
            the largest divisor of C up to g·r groups.
        kernel_size: of the convolution, odd.
        reduction: the hidden width is max(C·r // reduction, min_hidden), rounded up to a multiple of g.
        min_hidden: smallest hidden width.

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format.

    Raises:
        ValueError: if kernel_size is even or an argument is out of range.

    Source:
        Zhang et al., ResNeSt, CVPR Workshops 2022, arXiv:2004.08955, §3.1; authors' code zhanghang1989/ResNeSt
        resnest/torch/models/splat.py. Differs: group counts adapt to C; a single image in training mode uses the
        running statistics of the squeeze's normalisation.
    """

    merges = (("fc1", "bn"),)

    def __init__(
        self,
        channels: int,
        radix: int = 2,
        groups: int = 1,
        *,
        kernel_size: int = 3,
        reduction: float = 4,
        min_hidden: int = 32,
    ) -> None:
        super().__init__()
        positive(channels=channels, radix=radix, min_hidden=min_hidden)
        odd(kernel_size=kernel_size)
        if not reduction > 0:
            raise ValueError(f"reduction={reduction}, expected a positive number")
        self.radix = radix
        self.groups = largest_divisor(channels, groups)
        hidden = -(-max(int(channels * radix // reduction), min_hidden) // self.groups) * self.groups
        wide = largest_divisor(channels, self.groups * radix)
        self.conv = ConvNorm(channels, channels * radix, kernel_size, groups=wide, act=nn.ReLU(inplace=True))
        self.fc1 = nn.Conv1d(channels, hidden, 1, groups=self.groups)
        self.bn = BatchNorm1d(hidden)
        self.act = nn.ReLU(inplace=True)
        self.fc2 = nn.Conv1d(hidden, channels * radix, 1, groups=self.groups)

    def forward(self, x: Tensor) -> Tensor:
        """Mix the maps computed from x (B, C, H, W)."""
        maps = self.conv(x)
        pooled = split_axis(pool_mean(maps), 1, (self.radix, -1)).sum(1).unsqueeze(2)  # (B, C, 1)
        logits = self.fc2(self.act(self.bn(self.fc1(pooled))))
        logits = logits.reshape(x.shape[0], self.groups, self.radix, -1).transpose(1, 2)  # (B, r, g, C / g)
        if self.radix == 1:
            return gate_channels(maps, torch.sigmoid(logits).flatten(1)).to(x.dtype)
        shares = logits.softmax(1).flatten(2)  # (B, r, C)
        return weighted_sum(maps.chunk(self.radix, 1), shares.unbind(1)).to(x.dtype)
