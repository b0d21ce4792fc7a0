"""CPCA: channel prior convolutional attention."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attention.layers.checks import reduced_channels
from attention.layers.gating import gate_channels
from attention.layers.pooling import pool_max_mean
from attention.layers.strip_convs import StripConvs
from attention.registry import ATTENTION


@ATTENTION.register("CPCA")
class CPCA(nn.Module):
    """Gate channels, then let depthwise strip convolutions gate positions in every channel separately.

    x′ = GELU(P x);  x″ = x′ ⊙ (σ(MLP GAP x′) + σ(MLP GMP x′));  y = P(P(strips(x″)) ⊙ x″)

    P is one and the same 1 × 1 convolution all three times.

    Args:
        channels: C of input and output, ≥ 1.
        reduction: r of the MLP; its hidden width is max(C // r, min_hidden).
        min_hidden: smallest hidden width.

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format. A product of two maps: prefer bfloat16
        to float16.

    Raises:
        ValueError: if an argument is out of range.

    Source:
        Huang et al., Channel prior convolutional attention, Comput. Biol. Med. 2024, arXiv:2306.05196; authors' code
        Cuthbert-Huang/CPCANet network_architecture/CPCANet.py. Differs: min_hidden.
    """

    def __init__(self, channels: int, reduction: float = 4, *, min_hidden: int = 4) -> None:
        super().__init__()
        hidden = reduced_channels(channels, reduction, min_hidden)
        self.project = nn.Conv2d(channels, channels, 1)
        self.fc1 = nn.Linear(channels, hidden)
        self.act = nn.ReLU(inplace=True)
        self.fc2 = nn.Linear(hidden, channels)
        self.strips = StripConvs(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Gate channels and positions of x (B, C, H, W)."""
        mixed = F.gelu(self.project(x))
        pooled = torch.stack(pool_max_mean(mixed))  # (2, B, C)
        gates = torch.sigmoid(self.fc2(self.act(self.fc1(pooled)))).sum(0)
        weighted = gate_channels(mixed, gates)
        return self.project(self.project(self.strips(weighted)) * weighted).to(x.dtype)
