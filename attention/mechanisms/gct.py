"""GCT: gated channel transformation."""

import torch
from torch import Tensor, nn

from attention.layers.checks import one_of, positive
from attention.layers.gating import gate_channels
from attention.layers.tensor_ops import upcast
from attention.registry import ATTENTION


@ATTENTION.register("GCT")
class GCT(nn.Module):
    """Let channels compete or cooperate by their norms, with three numbers per channel.

    s = α √(Σ x² + ε);  y = x ⊙ (1 + tanh(γ s / √(mean_c s² + ε) + β)), α = 1, γ = β = 0 at the start

    Meant to stand before a convolution; γ and β want no weight decay.

    Args:
        channels: C of input and output, ≥ 1.
        norm: l2, or l1 (s = α Σ|x|, divided by mean_c |s| + ε).
        eps: ε.

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format. The sums are float32 at least.

    Raises:
        ValueError: if norm is unknown or an argument is out of range.

    Source:
        Yang et al., Gated Channel Transformation, CVPR 2020, arXiv:1909.11519, §3; authors' code z-x-yang/GCT
        PyTorch/GCT.py. Starts at identity, as theirs. Differs: nothing.
    """

    starts_at_identity = True

    def __init__(self, channels: int, *, norm: str = "l2", eps: float = 1e-5) -> None:
        super().__init__()
        positive(channels=channels)
        one_of(norm, ("l2", "l1"), "norm")
        self.norm = norm
        self.eps = eps
        self.alpha = nn.Parameter(torch.ones(channels))
        self.gamma = nn.Parameter(torch.zeros(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Gate the channels of x (B, C, H, W)."""
        wide, axes = upcast(x), (2, 3)
        if self.norm == "l2":
            size = self.alpha * (wide.square().sum(axes) + self.eps).sqrt()  # (B, C)
            share = size * torch.rsqrt(size.square().mean(1, keepdim=True) + self.eps)
        else:
            size = self.alpha * wide.abs().sum(axes)
            share = size / (size.abs().mean(1, keepdim=True) + self.eps)
        return gate_channels(x, 1 + torch.tanh(self.gamma * share + self.beta))
