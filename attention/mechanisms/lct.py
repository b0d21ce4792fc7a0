"""LCT: linear context transform."""

import torch
from torch import Tensor, nn

from attention.layers.checks import largest_divisor, positive
from attention.layers.conv_norm import zero_init
from attention.layers.gates import make_gate
from attention.layers.gating import gate_channels
from attention.layers.pooling import pool_mean
from attention.layers.tensor_ops import split_axis
from attention.registry import ATTENTION


@ATTENTION.register("LCT")
class LCT(nn.Module):
    """Normalise the channel means within groups and gate each channel by a line through its own.

    ẑ = (z − mean_g z) / √(var_g z + ε), z = GAP(x);  y = x ⊙ σ(w ẑ + b), w = 0, b = 1 per channel at the start

    Args:
        channels: C of input and output, ≥ 1.
        groups: wanted number of groups (64 as the authors). The largest divisor of C that does not exceed it and leaves
            4 channels to a group is used: a group of one would make the gate constant.
        gate: sigmoid, 2sigmoid or 1+tanh; the last two start as the identity (b = 0).

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format.

    Raises:
        ValueError: if an argument is out of range.

    Source:
        Ruan et al., Linear Context Transform Block, AAAI 2020, arXiv:1909.03834, §3; no code of the authors. Differs:
        groups adapt to C.
    """

    def __init__(self, channels: int, groups: int = 64, *, gate: str = "sigmoid") -> None:
        super().__init__()
        positive(channels=channels, groups=groups)
        self.norm = nn.GroupNorm(largest_divisor(channels, min(groups, max(channels // 4, 1))), channels)
        zero_init(self.norm)
        self.gate = make_gate(gate)
        self.starts_at_identity = gate != "sigmoid"
        if not self.starts_at_identity:
            nn.init.ones_(self.norm.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Gate the channels of x (B, C, H, W)."""
        norm, means = self.norm, pool_mean(x)
        # Not group_norm: OpenVINO has none for maps of one position.
        groups = split_axis(means, 1, (norm.num_groups, -1))
        variance, mean = torch.var_mean(groups, 2, keepdim=True, correction=0)
        normed = ((groups - mean) / torch.sqrt(variance + norm.eps)).reshape(means.shape)
        return gate_channels(x, self.gate(torch.addcmul(norm.bias, normed, norm.weight)))
