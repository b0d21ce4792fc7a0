"""MSCA: multi-scale convolutional attention."""

from torch import Tensor, nn

from attention.layers.checks import positive
from attention.layers.strip_convs import StripConvs
from attention.registry import ATTENTION


@ATTENTION.register("MSCA", "SegNext")
class MSCA(nn.Module):
    """Multiply the map by large-kernel convolutions of itself; no gate function bounds the factor.

    a = dw₅(x);  y = x ⊙ P(a + Σ_{k = 7, 11, 21} dw_{k×1}(dw_{1×k}(a)))

    Args:
        channels: C of input and output, ≥ 1.

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format. A product of two maps: prefer bfloat16
        to float16.

    Raises:
        ValueError: if channels < 1.

    Source:
        Guo et al., SegNeXt, NeurIPS 2022, arXiv:2209.08575, §3.1; authors' code Visual-Attention-Network/SegNeXt
        mmseg/models/backbones/mscan.py (AttentionModule). Differs: nothing; the block around it is left out.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        positive(channels=channels)
        self.strips = StripConvs(channels)
        self.project = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Gate x (B, C, H, W)."""
        return x * self.project(self.strips(x)).to(x.dtype)
