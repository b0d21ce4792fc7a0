"""ParNetAttention: parallel 3 × 3, 1 × 1 and gated branches."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attention.layers.checks import positive
from attention.layers.conv_norm import BatchNorm2d, ConvNorm
from attention.layers.pooling import pool_mean
from attention.registry import ATTENTION


@ATTENTION.register("ParNetAttention", "ParNet", "SSE")
class ParNetAttention(nn.Module):
    """Sum a 3 × 3, a 1 × 1 and a skip branch that is gated by its own channel means.

    b = BN(x);  y = SiLU(BN(conv₃ x) + BN(conv₁ x) + b ⊙ σ(W GAP(b)))

    For inference `fuse` makes one 3 × 3 convolution of the two.

    Args:
        channels: C of input and output, ≥ 1.
        bias: whether W has a bias (the authors have none; weights made before this option have one).

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format.

    Raises:
        ValueError: if channels < 1.

    Source:
        Goyal et al., Non-deep Networks, NeurIPS 2022, arXiv:2110.07641, §3.1; authors' code imankgoyal/NonDeepNetworks
        imagenet/timm/models/simplenet_impl/repvgg.py. Differs: nothing.
    """

    def __init__(self, channels: int, *, bias: bool = False) -> None:
        super().__init__()
        positive(channels=channels)
        self.wide = ConvNorm(channels, channels, 3)
        self.point = ConvNorm(channels, channels)
        self.bn = BatchNorm2d(channels)
        self.gate = nn.Linear(channels, channels, bias=bias)
        self.act = nn.SiLU(inplace=True)
        self.fused = False

    def forward(self, x: Tensor) -> Tensor:
        """Sum the branches of x (B, C, H, W)."""
        out = self.wide(x) if self.fused else self.wide(x) + self.point(x)
        skip = self.bn(x)
        gate = torch.sigmoid(self.gate(pool_mean(skip)))[..., None, None]
        return self.act(torch.addcmul(out, skip, gate.to(skip.dtype))).to(x.dtype)

    def fuse(self) -> None:
        """Merge the 1 × 1 branch into the 3 × 3 one, in place; only in eval mode, a second call does nothing.

        Raises:
            RuntimeError: in training mode.
        """
        if self.fused:
            return
        self.wide.fuse()
        self.point.fuse()
        with torch.no_grad():
            self.wide.conv.weight += F.pad(self.point.conv.weight, (1, 1, 1, 1))
            self.wide.conv.bias += self.point.conv.bias  # type: ignore[arg-type,operator]
        del self.point
        self.fused = True
