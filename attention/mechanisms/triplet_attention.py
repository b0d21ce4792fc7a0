"""TripletAttention: three planes of the map, each with its own spatial gate."""

from torch import Tensor, nn

from attention.layers.checks import odd, positive
from attention.layers.conv_norm import ConvNorm, zero_init
from attention.layers.gates import make_gate
from attention.layers.pooling import axis_max_mean, planes
from attention.registry import ATTENTION


def _planes(x: Tensor, axis: int) -> Tensor:
    """Return maximum and mean along an axis of x (B, C, H, W) as a map of two channels; axis and channels swap."""
    return planes(*(pooled.transpose(1, axis) for pooled in axis_max_mean(x, axis)))


@ATTENTION.register("TripletAttention", "Triplet")
class TripletAttention(nn.Module):
    """Gate the map by 7 × 7 neighbourhoods in its channel–width, height–channel and height–width planes.

    A_p = σ(BN(conv₇[max; mean over the third axis]));  y = x ⊙ (A_CW + A_HC + A_HW) / 3

    Args:
        channels: C of input and output, ≥ 1; any works, the parameters do not depend on it.
        kernel_size: odd, 7 as the authors.
        gate: sigmoid, 2sigmoid or 1+tanh, for all three; the last two start as the identity.

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format.

    Raises:
        ValueError: if kernel_size is even or channels < 1.

    Source:
        Misra et al., Rotate to Attend, WACV 2021, arXiv:2010.03045, §3.2; authors' code landskape-ai/triplet-attention
        triplet_attention.py. Differs: pools along the axis where the authors permute four times (the same function).
    """

    def __init__(self, channels: int, kernel_size: int = 7, *, gate: str = "sigmoid") -> None:
        super().__init__()
        positive(channels=channels)
        odd(kernel_size=kernel_size)
        self.channel_width = ConvNorm(2, 1, kernel_size, momentum=0.01)
        self.height_channel = ConvNorm(2, 1, kernel_size, momentum=0.01)
        self.height_width = ConvNorm(2, 1, kernel_size, momentum=0.01)
        self.gate = make_gate(gate)
        self.starts_at_identity = gate != "sigmoid"
        if self.starts_at_identity:
            for branch in (self.channel_width, self.height_channel, self.height_width):
                zero_init(branch.bn)

    def forward(self, x: Tensor) -> Tensor:
        """Gate x (B, C, H, W)."""
        over_height = self.gate(self.channel_width(_planes(x, 2))).transpose(1, 2)  # (B, C, 1, W)
        over_width = self.gate(self.height_channel(_planes(x, 3))).transpose(1, 3)  # (B, C, H, 1)
        over_channels = self.gate(self.height_width(_planes(x, 1)))  # (B, 1, H, W)
        return x * ((over_height + over_width + over_channels) / 3).to(x.dtype)
