"""SKAttention: selective kernels over dense convolutions of several sizes."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from attention.layers.checks import odd, one_of, positive, reduced_channels
from attention.layers.conv_norm import ConvNorm
from attention.layers.gating import weighted_sum
from attention.layers.pooling import pool_mean
from attention.registry import ATTENTION


@ATTENTION.register("SKAttention")
class SKAttention(nn.Module):
    """Convolve with kernels of several sizes and let the image choose among them, channel by channel.

    Fᵢ = δ(BN(convᵢ(x)));  z = W GAP(ΣFᵢ) + b;  y = Σ softmaxᵢ(Wᵢ z + bᵢ) ⊙ Fᵢ

    This is the form that is widely copied in articles and collections; `SKUnit` is the authors'. The convolutions are
    dense: 84·C² weights with the default kernels.

    Args:
        channels: C of input and output, ≥ 1.
        kernels: odd kernel sizes, one per branch.
        reduction: squeeze ratio; the hidden width is max(C // reduction, min_hidden).
        groups: of the convolutions; must divide C.
        min_hidden: smallest hidden width (L of the paper).
        dims: number of spatial axes, 1, 2 or 3.

    Shape:
        input (B, C, *spatial) float; output the same shape, dtype and memory format.

    Raises:
        ValueError: if there is no kernel, a kernel is even, groups does not divide C, or an argument is out of range.

    Source:
        Li et al., Selective Kernel Networks, CVPR 2019, arXiv:1903.06586, §3.1, in the form of
        xmu-xiaoma666/External-Attention-pytorch (SKAttention.py); a state dict of that class loads. Differs: no stack
        of branches.
    """

    def __init__(
        self,
        channels: int,
        kernels: Sequence[int] = (1, 3, 5, 7),
        reduction: float = 16,
        groups: int = 1,
        *,
        min_hidden: int = 32,
        dims: int = 2,
    ) -> None:
        super().__init__()
        one_of(dims, (1, 2, 3), "dims")
        positive(channels=channels, groups=groups)
        if isinstance(kernels, (int, str)) or not kernels:
            raise ValueError(f"kernels={kernels!r}, expected a list of odd sizes such as [1, 3, 5, 7]")
        for kernel in kernels:
            odd(kernels=kernel)
        if channels % groups:
            raise ValueError(f"channels={channels} is not divisible by groups={groups}")
        hidden = reduced_channels(channels, reduction, min_hidden)
        self.convs = nn.ModuleList(
            ConvNorm(channels, channels, k, dims=dims, groups=groups, bias=True, act=nn.ReLU(inplace=True))
            for k in kernels
        )
        self.fc = nn.Linear(channels, hidden)
        self.fcs = nn.ModuleList(nn.Linear(hidden, channels) for _ in kernels)

    def forward(self, x: Tensor) -> Tensor:
        """Choose among the branches for x (B, C, *spatial)."""
        branches = [conv(x) for conv in self.convs]
        pooled = torch.stack([pool_mean(branch) for branch in branches]).sum(0)  # (B, C), of their sum
        z = self.fc(pooled)
        weights = torch.stack([fc(z) for fc in self.fcs]).softmax(0)  # (branches, B, C)
        return weighted_sum(branches, weights.unbind(0)).to(x.dtype)
