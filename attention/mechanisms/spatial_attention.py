"""SpatialAttention: the second half of CBAM."""

from torch import Tensor, nn

from attention.layers.checks import odd, positive
from attention.layers.conv_norm import ConvNorm, zero_init
from attention.layers.gates import make_gate
from attention.layers.pooling import axis_max_mean, planes
from attention.registry import ATTENTION


@ATTENTION.register("SpatialAttention")
class SpatialAttention(nn.Module):
    """Weigh each position by maximum and mean over the channels around it.

    y = x ⊙ σ(BN(conv₇[max_c x; mean_c x]))

    Args:
        channels: C of input and output, ≥ 1; the mechanism itself does not depend on it.
        kernel_size: of the convolution, odd (7 in the paper).
        norm: whether the convolution is followed by batch normalisation; ultralytics' class of this name has none.
        bias: whether the convolution has a bias; None means where norm is off. ultralytics' class has none either.
        gate: sigmoid, 2sigmoid or 1+tanh; the last two start as the identity.

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format.

    Raises:
        ValueError: if kernel_size is even or an argument is out of range.

    Source:
        Woo et al., CBAM, ECCV 2018, arXiv:1807.06521, eq. 3; authors' code Jongchan/attention-module MODELS/cbam.py
        (SpatialGate). Differs: nothing.
    """

    def __init__(
        self,
        channels: int,
        kernel_size: int = 7,
        *,
        norm: bool = True,
        bias: bool | None = None,
        gate: str = "sigmoid",
    ) -> None:
        super().__init__()
        positive(channels=channels)
        odd(kernel_size=kernel_size)
        self.spatial = ConvNorm(2, 1, kernel_size, bias=not norm if bias is None else bias, norm=norm, momentum=0.01)
        self.gate = make_gate(gate)
        self.starts_at_identity = gate != "sigmoid"
        if self.starts_at_identity:
            zero_init(self.spatial.bn if norm else self.spatial.conv)

    def forward(self, x: Tensor) -> Tensor:
        """Weigh the positions of x (B, C, H, W)."""
        return x * self.gate(self.spatial(planes(*axis_max_mean(x, 1)))).to(x.dtype)
