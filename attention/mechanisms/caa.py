"""CAA: context anchor attention."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attention.layers.checks import odd, positive
from attention.layers.conv_norm import ConvNorm
from attention.registry import ATTENTION


@ATTENTION.register("CAA")
class CAA(nn.Module):
    """Gate the map by long depthwise strips over its local means.

    y = x ⊙ σ(W₂ dw_{k×1} dw_{1×k} W₁ avgpool₇(x))

    Args:
        channels: C of input and output, ≥ 1.
        kernel_size: k of the strips, odd.
        norm: whether W₁ and W₂ are followed by batch normalisation and SiLU, as in the authors' class by default; the
            network that they publish switches both off, and so does this. With SiLU the gate stays above 0.43.

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format.

    Raises:
        ValueError: if kernel_size is even or an argument is out of range.

    Source:
        Cai et al., Poly Kernel Inception Network, CVPR 2024, arXiv:2403.06258, §3.3; authors' code
        NUST-Machine-Intelligence-Laboratory/PKINet mmrotate/models/backbones/pkinet.py (initial values of the class;
        their whole network draws the weights anew, as PyTorch does, and keeps the biases at 0). Differs: multiplies the
        factor onto x, which there the caller does.
    """

    def __init__(self, channels: int, kernel_size: int = 11, *, norm: bool = False) -> None:
        super().__init__()
        positive(channels=channels)
        odd(kernel_size=kernel_size)

        def mix() -> ConvNorm:
            act = nn.SiLU(inplace=True) if norm else None
            return ConvNorm(channels, channels, bias=not norm, norm=norm, act=act, eps=1e-3, momentum=0.03)

        half = kernel_size // 2
        self.mix1 = mix()
        self.row = nn.Conv2d(channels, channels, (1, kernel_size), padding=(0, half), groups=channels)
        self.column = nn.Conv2d(channels, channels, (kernel_size, 1), padding=(half, 0), groups=channels)
        self.mix2 = mix()
        for layer in (self.mix1.conv, self.row, self.column, self.mix2.conv):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")  # type: ignore[arg-type]
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """Gate x (B, C, H, W)."""
        means = F.avg_pool2d(x, 7, 1, 3)
        return x * torch.sigmoid(self.mix2(self.column(self.row(self.mix1(means))))).to(x.dtype)
