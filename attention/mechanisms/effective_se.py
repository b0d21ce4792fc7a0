"""EffectiveSE: squeeze-and-excitation without the squeeze."""

import torch.nn.functional as F
from torch import Tensor, nn

from attention.layers.checks import positive
from attention.layers.gating import gate_channels
from attention.layers.pooling import pool_mean
from attention.registry import ATTENTION


@ATTENTION.register("EffectiveSE", "eSE", "eSEModule")
class EffectiveSE(nn.Module):
    """Gate each channel by one linear layer that sees the means of all channels; no channel is lost on the way.

    y = x ⊙ hσ(W GAP(x) + b), hσ(z) = ReLU6(z + 3) / 6

    Args:
        channels: C of input and output, ≥ 1.

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format.

    Raises:
        ValueError: if channels < 1.

    Source:
        Lee, Park, CenterMask (VoVNetV2), CVPR 2020, arXiv:1911.06667, §3.3; authors' code youngwanLEE/vovnet-detectron2
        vovnet/vovnet.py (eSEModule). Differs: nothing.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        positive(channels=channels)
        self.fc = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Gate the channels of x (B, C, H, W)."""
        return gate_channels(x, F.relu6(self.fc(pool_mean(x)) + 3) / 6)
