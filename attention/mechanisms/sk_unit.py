"""SKUnit: selective kernels as their authors define them."""

import torch
from torch import Tensor, nn

from attention.layers.checks import largest_divisor, positive, reduced_channels
from attention.layers.conv_norm import BatchNorm1d, ConvNorm, Merging
from attention.layers.gating import weighted_sum
from attention.layers.pooling import pool_mean
from attention.registry import ATTENTION


@ATTENTION.register("SKUnit", "SelectiveKernel", "SKConv")
class SKUnit(Merging):
    """Look with small and with dilated kernels and let the image choose among them, channel by channel.

    Fᵢ = δ(BN(convᵢ(x))), convᵢ 3 × 3, grouped, dilation i;  z = δ(BN(W GAP(ΣFᵢ)));  y = Σ softmaxᵢ(Wᵢ z) ⊙ Fᵢ

    Args:
        channels: C of input and output, ≥ 1.
        reduction: squeeze ratio r; the hidden width is max(C // r, min_hidden).
        groups: wanted groups of the convolutions; the largest divisor of C that does not exceed it is used.
        branches: M; branch i has dilation i, so 2 stands for 3 × 3 and "5 × 5".
        min_hidden: smallest hidden width, L of the paper.

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format.

    Raises:
        ValueError: if an argument is out of range.

    Source:
        Li et al., Selective Kernel Networks, CVPR 2019, arXiv:1903.06586, §3.1; authors' definition implus/SKNet
        models/sknet50.prototxt. Differs: groups adapt to C; a single image in training mode uses the running
        statistics of the squeeze's normalisation.
    """

    merges = (("fc", "bn"),)

    def __init__(
        self, channels: int, reduction: float = 16, groups: int = 32, *, branches: int = 2, min_hidden: int = 32
    ) -> None:
        super().__init__()
        positive(branches=branches)
        hidden = reduced_channels(channels, reduction, min_hidden)
        groups = largest_divisor(channels, groups)
        self.convs = nn.ModuleList(
            ConvNorm(channels, channels, 3, dilation=i, groups=groups, act=nn.ReLU(inplace=True))
            for i in range(1, branches + 1)
        )
        self.fc = nn.Linear(channels, hidden, bias=False)
        self.bn = BatchNorm1d(hidden)
        self.act = nn.ReLU(inplace=True)
        self.fcs = nn.ModuleList(nn.Linear(hidden, channels, bias=False) for _ in range(branches))

    def forward(self, x: Tensor) -> Tensor:
        """Choose among the branches for x (B, C, H, W)."""
        branches = [conv(x) for conv in self.convs]
        pooled = torch.stack([pool_mean(branch) for branch in branches]).sum(0)  # (B, C), of their sum
        z = self.act(self.bn(self.fc(pooled)))
        weights = torch.stack([fc(z) for fc in self.fcs]).softmax(0)  # (branches, B, C)
        return weighted_sum(branches, weights.unbind(0)).to(x.dtype)
