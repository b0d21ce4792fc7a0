"""SimAM: attention without parameters."""

import torch
from torch import Tensor, nn

from attention.layers.checks import positive
from attention.layers.pooling import average
from attention.layers.tensor_ops import upcast
from attention.registry import ATTENTION


@ATTENTION.register("SimAM")
class SimAM(nn.Module):
    """Gate each element by how far it stands out from its channel; nothing is learned.

    y = x ⊙ σ((x − μ)² / (4(σ² + λ)) + ½), μ and σ² (unbiased) per image and channel

    Args:
        channels: C of input and output, ≥ 1; any works, it only serves the common call.
        lam: λ, the regulariser of eq. 5.

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format. Computed in float32 at least: a
        float16 sum of squares overflows and would silently switch the mechanism off.

    Raises:
        ValueError: if channels < 1 or lam is not positive.

    Source:
        Yang et al., SimAM, ICML 2021, PMLR 139; authors' code ZjjConan/SimAM networks/attentions/simam_module.py.
        Differs: a 1 × 1 map gives σ(½)·x instead of NaN.
    """

    def __init__(self, channels: int, lam: float = 1e-4) -> None:
        super().__init__()
        positive(channels=channels)
        if not lam > 0:
            raise ValueError(f"lam={lam}, expected a positive number")
        self.lam = lam

    def forward(self, x: Tensor) -> Tensor:
        """Gate the elements of x (B, C, H, W)."""
        wide = upcast(x)
        freedom = x.shape[2] * x.shape[3] - 1
        square = (wide - average(wide, (2, 3), keepdim=True)).square()
        variance = square.sum((2, 3), keepdim=True) / (freedom + (freedom == 0))  # a single pixel: 0 / 1
        energy = square / (4 * (variance + self.lam)) + 0.5
        return x * torch.sigmoid(energy).to(x.dtype)
