"""SGE: spatial group-wise enhance."""

import torch
from torch import Tensor, nn

from attention.layers.checks import largest_divisor
from attention.layers.pooling import average
from attention.layers.tensor_ops import split_axis, upcast
from attention.registry import ATTENTION


@ATTENTION.register("SGE", "SpatialGroupEnhance")
class SGE(nn.Module):
    """In each group of channels, favour the positions whose vector resembles the group's mean vector.

    t = Σ_c x_g ⊙ GAP(x_g);  y = x_g ⊙ σ(w (t − mean t) / (std t + ε) + b), w = 0, b = 1 per group at the start

    Args:
        channels: C of input and output, ≥ 1.
        groups: wanted number of groups; the largest divisor of C that does not exceed it is used (64 as the authors).

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format.

    Raises:
        ValueError: if an argument is out of range.

    Source:
        Li, Hu, Yang, Spatial Group-wise Enhance, 2019, arXiv:1905.09646; authors' code implus/PytorchInsight
        classification/models/imagenet/resnet_sge.py. Differs: groups adapt to C; a 1 × 1 map gives σ(b)·x, not NaN.
    """

    def __init__(self, channels: int, groups: int = 64) -> None:
        super().__init__()
        self.groups = largest_divisor(channels, groups)
        self.weight = nn.Parameter(torch.zeros(self.groups))
        self.bias = nn.Parameter(torch.ones(self.groups))

    def forward(self, x: Tensor) -> Tensor:
        """Gate the positions of x (B, C, H, W)."""
        grouped = split_axis(x, 1, (self.groups, -1))  # (B, G, C / G, H, W)
        wide = upcast(grouped)
        likeness = (wide * average(wide, (3, 4), keepdim=True)).sum(2)  # (B, G, H, W)
        centred = likeness - likeness.mean((2, 3), keepdim=True)
        freedom = x.shape[2] * x.shape[3] - 1
        variance = centred.square().sum((2, 3), keepdim=True) / (freedom + (freedom == 0))
        # The root has no slope at 0, where all positions are alike; there the quotient is 0 whatever the root.
        deviation = variance.masked_fill(variance == 0, 1).sqrt()
        normed = centred / (deviation + 1e-5)
        gate = torch.sigmoid(normed * self.weight[:, None, None] + self.bias[:, None, None])
        return (grouped * gate.unsqueeze(2).to(x.dtype)).reshape(x.shape)
