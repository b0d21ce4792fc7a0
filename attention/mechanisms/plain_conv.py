"""No attention: a plain convolution block, what a study sets against a mechanism of the same size."""

from torch import Tensor, nn

from attention.layers.checks import odd, positive
from attention.layers.conv_norm import ConvNorm
from attention.registry import ATTENTION


@ATTENTION.register("PlainConv")
class PlainConv(nn.Module):
    """Add what two plain convolutions make of the map.

    y = x + conv(SiLU(BN(conv₁ₓ₁(x))))

    It has no gate, no pooling and no look at the whole map, so what it gains is owed to added capacity alone.
    `study.py` places it as the control of a mechanism, with the hidden width that gives both the same number of
    parameters.

    Args:
        channels: C of input and output, ≥ 1.
        hidden: width between the convolutions, ≥ 1; None means C // 2.
        kernel_size: of the second convolution, odd.

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format.

    Raises:
        ValueError: if kernel_size is even or an argument is out of range.

    Source:
        The bottleneck with a shortcut of He et al., CVPR 2016, arXiv:1512.03385, in the order of YOLOv5's blocks.
        Differs: no normalisation after the second convolution, so that the number of parameters, h·(C·(1 + k²) + 2), is
        proportional to the hidden width h.
    """

    def __init__(self, channels: int, hidden: int | None = None, kernel_size: int = 3) -> None:
        super().__init__()
        width = max(channels // 2, 1) if hidden is None else hidden
        positive(channels=channels, hidden=width)
        odd(kernel_size=kernel_size)
        self.reduce = ConvNorm(channels, width, act=nn.SiLU(inplace=True))
        self.expand = nn.Conv2d(width, channels, kernel_size, padding=kernel_size // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block to x (B, C, H, W)."""
        return x + self.expand(self.reduce(x)).to(x.dtype)
