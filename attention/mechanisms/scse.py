"""SCSE: concurrent spatial and channel squeeze-and-excitation."""

import torch
from torch import Tensor, nn

from attention.layers.checks import one_of, reduced_channels
from attention.layers.gating import expand_as_map
from attention.layers.pooling import pool_mean
from attention.registry import ATTENTION


@ATTENTION.register("SCSE", "scSE", "ChannelSpatialSE")
class SCSE(nn.Module):
    """Gate channels as SE does and positions by one 1 × 1 convolution, and combine both results.

    c = x ⊙ σ(W₂ δ(W₁ GAP(x) + b₁) + b₂);  s = x ⊙ σ(w·x + b);  y = max(c, s), c + s or c ⊙ s

    Args:
        channels: C of input and output, ≥ 1.
        reduction: r; the hidden width is max(C // r, min_hidden).
        combine: max, as the authors' PyTorch code, add, as the first paper, or mul. (Their fourth, concatenation, would
            change the number of channels.)
        min_hidden: smallest hidden width.

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format.

    Raises:
        ValueError: if combine is unknown or an argument is out of range.

    Source:
        Roy, Navab, Wachinger, MICCAI 2018, arXiv:1803.02579, and IEEE TMI 2019, arXiv:1808.08127; authors' code
        ai-med/squeeze_and_excitation. Differs: min_hidden.
    """

    def __init__(self, channels: int, reduction: float = 2, *, combine: str = "max", min_hidden: int = 4) -> None:
        super().__init__()
        one_of(combine, ("max", "add", "mul"), "combine")
        hidden = reduced_channels(channels, reduction, min_hidden)
        self.combine = combine
        self.fc1 = nn.Linear(channels, hidden)
        self.act = nn.ReLU(inplace=True)
        self.fc2 = nn.Linear(hidden, channels)
        self.spatial = nn.Conv2d(channels, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Gate channels and positions of x (B, C, H, W)."""
        channel = expand_as_map(torch.sigmoid(self.fc2(self.act(self.fc1(pool_mean(x))))), x)
        spatial = torch.sigmoid(self.spatial(x)).to(x.dtype)
        if self.combine == "add":
            return x * (channel + spatial)
        by_channel, by_position = x * channel, x * spatial
        return torch.maximum(by_channel, by_position) if self.combine == "max" else by_channel * by_position
