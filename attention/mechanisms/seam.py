"""SEAM: separated and enhancement attention module."""

from torch import Tensor, nn

from attention.layers.checks import positive, reduced_channels
from attention.layers.gating import gate_channels
from attention.layers.patch_mixing import ExponentialGate, mixing
from attention.layers.pooling import pool_mean
from attention.registry import ATTENTION


@ATTENTION.register("SEAM")
class SEAM(nn.Module):
    """Strengthen channels by a factor between 1 and e that comes from depthwise and pointwise convolutions of the map.

    m = mix(x), mix n times: z + BN(GELU(dw₃ z)), then BN(GELU(W ·));  y = x ⊙ exp(σ(W₂ δ(W₁ GAP(m))))

    Args:
        channels: C of input and output, ≥ 1.
        depth: n.
        reduction: squeeze ratio; the hidden width is max(C // reduction, min_hidden).
        min_hidden: smallest hidden width (the authors have none).

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format.

    Raises:
        ValueError: if an argument is out of range.

    Source:
        Yu et al., YOLO-FaceV2: A Scale and Occlusion Aware Face Detector, Pattern Recognit. 2024, arXiv:2208.02019,
        §3.4; authors' code Krasjet-Yu/YOLO-FaceV2 models/common.py (SEAM; their YAMLs write [C, 1, 8], which is depth 1
        and reduction 8). Differs: min_hidden.
    """

    def __init__(self, channels: int, depth: int = 1, reduction: float = 16, *, min_hidden: int = 4) -> None:
        super().__init__()
        positive(channels=channels, depth=depth)
        self.mix = mixing(channels, depth)
        self.gate = ExponentialGate(channels, reduced_channels(channels, reduction, min_hidden))

    def forward(self, x: Tensor) -> Tensor:
        """Strengthen the channels of x (B, C, H, W)."""
        return gate_channels(x, self.gate(pool_mean(self.mix(x))))
