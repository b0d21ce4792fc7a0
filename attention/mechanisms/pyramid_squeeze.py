"""PyramidSqueeze: the unit of EPSANet."""

import torch
from torch import Tensor, nn

from attention.layers.checks import largest_divisor, positive, reduced_channels
from attention.layers.gating import gate_channels
from attention.layers.pooling import pool_mean
from attention.registry import ATTENTION


@ATTENTION.register("PyramidSqueeze", "EPSANet", "PSAModule")
class PyramidSqueeze(nn.Module):
    """Look with four kernel sizes, a quarter of the channels each, and let them compete by one shared SE network.

    fᵢ = conv_k(x), k = 3, 5, 7, 9, C → C/4, groups 1, 4, 8, 16;  a = softmax over i of σ(W₂ δ(W₁ GAP(fᵢ) + b₁) + b₂);
    y = [a₄ f₄; a₃ f₃; a₂ f₂; a₁ f₁]

    Args:
        channels: C of input and output, divisible by 4.
        reduction: r of the shared network; its hidden width is max(C/4 // r, min_hidden).
        min_hidden: smallest hidden width (the authors have none).

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format.

    Raises:
        ValueError: if channels is not divisible by 4 or an argument is out of range.

    Source:
        Zhang et al., EPSANet, ACCV 2022, arXiv:2105.14447, §3; authors' code murufeng/EPSANet models/epsanet.py,
        including the reversed order of the branches. Differs: groups adapt to C; min_hidden.
    """

    def __init__(self, channels: int, reduction: float = 16, *, min_hidden: int = 4) -> None:
        super().__init__()
        positive(channels=channels)
        if channels % 4:
            raise ValueError(f"channels={channels} is not divisible by 4, one part for each kernel size")
        part = channels // 4
        hidden = reduced_channels(part, reduction, min_hidden)
        self.convs = nn.ModuleList(
            nn.Conv2d(channels, part, k, padding=k // 2, groups=largest_divisor(part, groups), bias=False)
            for k, groups in ((3, 1), (5, 4), (7, 8), (9, 16))
        )
        self.fc1 = nn.Linear(part, hidden)
        self.act = nn.ReLU(inplace=True)
        self.fc2 = nn.Linear(hidden, part)

    def forward(self, x: Tensor) -> Tensor:
        """Look at x (B, C, H, W)."""
        maps = [conv(x) for conv in reversed(self.convs)]
        pooled = torch.stack([pool_mean(part) for part in maps], 1)  # (B, 4, C / 4)
        shares = torch.sigmoid(self.fc2(self.act(self.fc1(pooled)))).softmax(1).flatten(1)
        joined = torch.cat(maps, 1)
        return gate_channels(joined, shares).to(x.dtype)
