"""MultiSEAM: SEAM on patches of several sizes."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attention.layers.checks import odd, positive, reduced_channels
from attention.layers.conv_norm import BatchNorm2d
from attention.layers.gating import gate_channels
from attention.layers.patch_mixing import ExponentialGate, mixing
from attention.layers.pooling import pool_mean
from attention.layers.tensor_ops import missing
from attention.registry import ATTENTION


@ATTENTION.register("MultiSEAM")
class MultiSEAM(nn.Module):
    """Strengthen channels by a factor between 1 and e that comes from patches of several sizes.

    mᵢ = mix(BN(GELU(conv_{pᵢ, stride pᵢ}(x)))), mix as in SEAM;  y = x ⊙ exp(σ(W₂ δ(W₁ mean(GAP mᵢ, …, GAP x))))

    Args:
        channels: C of input and output, ≥ 1.
        depth: how often each branch mixes.
        patches: sides pᵢ of the patches ([6, 7, 8] in the authors' YAMLs); what is left of the map at its right and
            lower border is not read.
        kernel_size: of the depthwise convolutions, odd (3 in the authors' YAMLs; their code works with no other).
        reduction: squeeze ratio; the hidden width is max(C // reduction, min_hidden).
        min_hidden: smallest hidden width (the authors have none).

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format.

    Raises:
        ValueError: if patches is empty, kernel_size even, or an argument out of range.

    Source:
        Yu et al., YOLO-FaceV2: A Scale and Occlusion Aware Face Detector, Pattern Recognit. 2024, arXiv:2208.02019,
        §3.4; authors' code Krasjet-Yu/YOLO-FaceV2 models/common.py (MultiSEAM). Differs: min_hidden; a map smaller than
        a patch is padded with zeros.
    """

    def __init__(
        self,
        channels: int,
        depth: int = 1,
        patches: Sequence[int] = (3, 5, 7),
        *,
        kernel_size: int = 3,
        reduction: float = 16,
        min_hidden: int = 4,
    ) -> None:
        super().__init__()
        positive(channels=channels, depth=depth)
        odd(kernel_size=kernel_size)
        if isinstance(patches, int) or not list(patches):
            raise ValueError(f"patches={patches!r}, expected a list of sizes such as [3, 5, 7]")
        for size in patches:
            positive(patches=size)
        self.patches = tuple(patches)
        self.branches = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(channels, channels, size, stride=size),
                nn.GELU(),
                BatchNorm2d(channels),
                mixing(channels, depth, kernel_size),
            )
            for size in patches
        )
        self.gate = ExponentialGate(channels, reduced_channels(channels, reduction, min_hidden))

    def forward(self, x: Tensor) -> Tensor:
        """Strengthen the channels of x (B, C, H, W)."""
        total = pool_mean(x)
        for size, branch in zip(self.patches, self.branches, strict=True):
            below, right = (missing(n, size) for n in x.shape[2:])
            # While tracing always: whether there is anything to pad depends on the size of the map.
            padded = F.pad(x, (0, right, 0, below)) if torch.jit.is_tracing() or below or right else x
            total = total + pool_mean(branch(padded))
        return gate_channels(x, self.gate(total / (1 + len(self.patches))))
