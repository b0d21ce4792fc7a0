"""NAM: normalisation-based attention."""

import torch
from torch import Tensor, nn

from attention.layers.checks import positive
from attention.layers.conv_norm import BatchNorm2d
from attention.registry import ATTENTION


@ATTENTION.register("NAM")
class NAM(nn.Module):
    """Gate each element by its batch-normalised value, weighted by the share of its channel's scale.

    y = x ⊙ σ(w ⊙ BN(x)), w_c = |γ_c| / Σ|γ|, γ the scale of BN; the module has no other parameters

    Args:
        channels: C of input and output, ≥ 1.
        detach: whether w is a constant for the gradient, as in the authors' code; with False γ also learns through w.

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format.

    Raises:
        ValueError: if channels < 1.

    Source:
        Liu et al., NAM, 2021, arXiv:2111.12419; authors' code Christian-lyc/NAM MODELS/attention.py (the channel part;
        their spatial part and the penalty on γ are not in it). Differs: all γ = 0 gives w = 0 instead of NaN.
    """

    def __init__(self, channels: int, *, detach: bool = True) -> None:
        super().__init__()
        positive(channels=channels)
        self.bn = BatchNorm2d(channels)
        self.detach = detach

    def forward(self, x: Tensor) -> Tensor:
        """Gate x (B, C, H, W)."""
        size = self.bn.weight.abs()
        share = size / size.sum().clamp(min=torch.finfo(size.dtype).tiny)
        share = share.detach() if self.detach else share
        return x * torch.sigmoid(self.bn(x) * share[:, None, None]).to(x.dtype)
