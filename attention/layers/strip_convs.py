"""Depthwise strip convolutions, shared by MSCA and CPCA."""

from torch import Tensor, nn


class StripConvs(nn.Module):
    """a + Σ dw_{k×1}(dw_{1×k}(a)) for k = 7, 11, 21, with a = dw₅ₓ₅(x).

    Args:
        channels: C of input and output.

    Shape:
        (B, C, H, W) → the same.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.local = nn.Conv2d(channels, channels, 5, padding=2, groups=channels)
        self.pairs = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(channels, channels, (1, k), padding=(0, k // 2), groups=channels),
                nn.Conv2d(channels, channels, (k, 1), padding=(k // 2, 0), groups=channels),
            )
            for k in (7, 11, 21)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Sum of the scales."""
        local = self.local(x)
        out = local
        for pair in self.pairs:
            out = out + pair(local)
        return out
