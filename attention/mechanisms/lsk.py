"""LSK: large selective kernel."""

import torch
from torch import Tensor, nn

from attention.layers.checks import positive
from attention.layers.gating import gate_positions
from attention.layers.pooling import axis_max_mean, planes
from attention.registry import ATTENTION


@ATTENTION.register("LSK", "LSKNet")
class LSK(nn.Module):
    """See with two large depthwise kernels and choose between them position by position.

    u₁ = dw₅(x), u₂ = dw₇,dilation 3(u₁);  aᵢ = Wᵢ uᵢ (C/2);  s = σ(conv₇[mean_c; max_c](a₁, a₂)) (2 maps);
    y = x ⊙ W(a₁ ⊙ s₁ + a₂ ⊙ s₂)

    Args:
        channels: C of input and output, even.

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format. A product of two maps: prefer bfloat16
        to float16.

    Raises:
        ValueError: if channels is odd or < 1.

    Source:
        Li et al., Large Selective Kernel Network, ICCV 2023, arXiv:2303.09030, §3.2; authors' code zcablii/LSKNet
        mmrotate/models/backbones/lsknet.py (LSKblock). Differs: nothing; the block around it is left out.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        positive(channels=channels)
        if channels % 2:
            raise ValueError(f"channels={channels} is odd, expected an even number: each scale gets half of them")
        half = channels // 2
        self.near = nn.Conv2d(channels, channels, 5, padding=2, groups=channels)
        self.far = nn.Conv2d(channels, channels, 7, padding=9, dilation=3, groups=channels)
        self.reduce_near = nn.Conv2d(channels, half, 1)
        self.reduce_far = nn.Conv2d(channels, half, 1)
        self.choose = nn.Conv2d(2, 2, 7, padding=3)
        self.expand = nn.Conv2d(half, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Gate x (B, C, H, W)."""
        near = self.near(x)
        far = self.reduce_far(self.far(near))
        near = self.reduce_near(near)
        # Statistics over the 2 × C/2 channels, without joining the two maps.
        (near_most, near_mean), (far_most, far_mean) = axis_max_mean(near, 1), axis_max_mean(far, 1)
        pooled = planes((near_mean + far_mean) / 2, torch.maximum(near_most, far_most))
        of_near, of_far = torch.sigmoid(self.choose(pooled)).chunk(2, 1)
        return x * self.expand(gate_positions(near, of_near) + gate_positions(far, of_far)).to(x.dtype)
