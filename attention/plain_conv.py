"""No attention: a plain convolution block, what a study sets against a mechanism of the same size."""

from torch import Tensor, nn

from attention.registry import ATTENTION


@ATTENTION.register("PlainConv")
class PlainConv(nn.Module):
    """Add what two plain convolutions make of the map: y = x + conv(SiLU(BN(conv₁ₓ₁(x)))).

    It has no gate, no pooling and no look at the whole map, so what it gains is owed to added capacity alone. `study.py`
    places it as the control of a mechanism, with the hidden width that gives both the same number of parameters.

    Args:
        channels: C of input and output, ≥ 1.
        hidden: width between the convolutions, ≥ 1; by default C // 2.
        kernel_size: of the second convolution, odd.

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format.

    Raises:
        ValueError: if hidden is below 1 or kernel_size is even.

    Source:
        The bottleneck with a shortcut of He et al., CVPR 2016, arXiv:1512.03385, in the order of YOLOv5's blocks.
        Differs: no normalisation after the second convolution, so that the number of parameters, h·(C·(1 + k²) + 2), is
        proportional to the hidden width h.
    """

    def __init__(self, channels: int, hidden: int | None = None, kernel_size: int = 3) -> None:
        super().__init__()
        hidden = max(channels // 2, 1) if hidden is None else hidden
        if hidden < 1:
            raise ValueError(f"hidden={hidden}, expected at least 1")
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise ValueError(f"kernel_size={kernel_size}, expected an odd number")
        self.reduce = nn.Conv2d(channels, hidden, 1, bias=False)
        self.norm = nn.BatchNorm2d(hidden)
        self.act = nn.SiLU()
        self.expand = nn.Conv2d(hidden, channels, kernel_size, padding=kernel_size // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block.

        Args:
            x: (B, C, H, W).

        Returns:
            The same shape.
        """
        changed: Tensor = self.expand(self.act(self.norm(self.reduce(x))))
        return x + changed
