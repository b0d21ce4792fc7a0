"""CoT: contextual transformer block."""

import torch
from torch import Tensor, nn

from attention.layers.checks import largest_divisor, positive
from attention.layers.conv_norm import BatchNorm1d, BatchNorm2d, ConvNorm, Merging
from attention.layers.gating import weighted_sum
from attention.layers.pooling import pool_mean
from attention.layers.tensor_ops import group_norm, neighbours, split_axis
from attention.registry import ATTENTION


@ATTENTION.register("CoT", "CoTAttention")
class CoT(Merging):
    """Mix each 3 × 3 neighbourhood with weights computed from the position and its context, then fuse both.

    k = δ(BN(conv₃ x));  w = GN(W₂ δ(BN(W₁[x; k]))), 9 weights for each of C/8 sets;  v = BN(W x);
    u_c(p) = SiLU(BN(Σ_δ w_{c mod C/8, δ}(p) v_c(p + δ)));  y = a₁ ⊙ u + a₂ ⊙ k, a = softmax over the two of an MLP of
    GAP(u + k)

    Args:
        channels: C of input and output, ≥ 1.
        share: channels that share a set of weights (8 as the authors); the largest divisor of C up to it is used.
        reduction: the MLP has max(2C // reduction, min_hidden) hidden units.
        min_hidden: smallest hidden width of the MLP.

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format.

    Raises:
        ValueError: if an argument is out of range.

    Source:
        Li et al., Contextual Transformer Networks, TPAMI 2022, arXiv:2107.12292, §3.2; authors' code JDAI-CV/CoTNet
        models/cotnet.py. Differs: sums shifted views where theirs has a CUDA kernel; group counts adapt to C; a single
        image in training mode uses the running statistics of the MLP's normalisation.
    """

    merges = (("fuse1.0", "fuse1.1"),)

    def __init__(self, channels: int, share: int = 8, *, reduction: float = 4, min_hidden: int = 32) -> None:
        super().__init__()
        positive(channels=channels, min_hidden=min_hidden)
        if not reduction > 0:
            raise ValueError(f"reduction={reduction}, expected a positive number")
        self.share = largest_divisor(channels, share, "share")
        sets, half = channels // self.share, max(channels // 2, 1)
        hidden = max(int(2 * channels // reduction), min_hidden)
        self.key = ConvNorm(channels, channels, 3, groups=largest_divisor(channels, 4), act=nn.ReLU(inplace=True))
        self.embed = ConvNorm(2 * channels, half, act=nn.ReLU(inplace=True))
        self.weigh = nn.Conv2d(half, 9 * sets, 1)
        self.norm = nn.GroupNorm(sets, 9 * sets)
        self.value = ConvNorm(channels, channels)
        self.bn = BatchNorm2d(channels)
        self.act = nn.SiLU(inplace=True)
        self.fuse1 = nn.Sequential(nn.Linear(channels, hidden), BatchNorm1d(hidden), nn.ReLU(inplace=True))
        self.fuse2 = nn.Linear(hidden, 2 * channels)

    def forward(self, x: Tensor) -> Tensor:
        """Mix the neighbourhoods of x (B, C, H, W)."""
        key = self.key(x)
        weights = group_norm(self.norm, self.weigh(self.embed(torch.cat((x, key), 1))))
        weights = split_axis(weights, 1, (-1, 1, 9)).transpose(1, 2)  # (B, 1, sets, 9, H, W)
        value = split_axis(self.value(x), 1, (self.share, -1))  # (B, share, sets, H, W)
        shifted = neighbours(value, 3)
        mixed = shifted[0] * weights[:, :, :, 0]
        for i in range(1, 9):
            mixed = torch.addcmul(mixed, shifted[i], weights[:, :, :, i])
        mixed = self.act(self.bn(mixed.flatten(1, 2)))
        logits = self.fuse2(self.fuse1(pool_mean(mixed) + pool_mean(key)))
        shares = split_axis(logits, 1, (-1, 2)).softmax(2)  # (B, C, 2)
        return weighted_sum((key, mixed), shares.unbind(2)[::-1]).to(x.dtype)
