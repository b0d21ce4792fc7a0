"""ELA: efficient local attention."""

from torch import Tensor, nn

from attention.layers.checks import largest_divisor, one_of, positive
from attention.layers.conv_norm import zero_init
from attention.layers.gates import make_gate
from attention.layers.gating import times
from attention.layers.pooling import average
from attention.layers.tensor_ops import group_norm
from attention.registry import ATTENTION

# Variant: (kernel, divisor of C for the convolution's groups, groups of the normalisation).
VARIANTS = {"T": (5, 1, 32), "B": (7, 1, 16), "S": (5, 8, 16), "L": (7, 8, 16)}


@ATTENTION.register("ELA", "EfficientLocalization")
class ELA(nn.Module):
    """Gate rows and columns by 1-D convolutions of the strip means; no channel is squeezed.

    zʰ = mean_W x, zʷ = mean_H x;  y = x ⊙ σ(GN(conv1d(zʰ))) ⊙ σ(GN(conv1d(zʷ))), convolution and GN shared by both

    Args:
        channels: C of input and output, ≥ 1.
        variant: T (kernel 5, depthwise, GN 32), B (7, depthwise, GN 16), S (5, C/8 groups, GN 16) or L (7, C/8 groups,
            GN 16). Group counts fall to the largest divisor of C that does not exceed these.
        gate: sigmoid, 2sigmoid or 1+tanh, for both gates; the last two start as the identity.

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format.

    Raises:
        ValueError: if variant is unknown or an argument is out of range.

    Source:
        Xu, Wan, ELA, 2024, arXiv:2403.01123, §3.3; no code of the authors. Differs: groups adapt to C.
    """

    def __init__(self, channels: int, variant: str = "B", *, gate: str = "sigmoid") -> None:
        super().__init__()
        positive(channels=channels)
        one_of(variant, tuple(VARIANTS), "variant")
        kernel, share, norm_groups = VARIANTS[variant]
        groups = largest_divisor(channels, max(channels // share, 1))
        self.conv = nn.Conv1d(channels, channels, kernel, padding=kernel // 2, groups=groups, bias=False)
        self.norm = nn.GroupNorm(largest_divisor(channels, norm_groups), channels)
        self.gate = make_gate(gate)
        self.starts_at_identity = gate != "sigmoid"
        if self.starts_at_identity:
            zero_init(self.norm)

    def forward(self, x: Tensor) -> Tensor:
        """Gate rows and columns of x (B, C, H, W)."""
        rows = self.gate(group_norm(self.norm, self.conv(average(x, (3,))))).unsqueeze(3)  # (B, C, H, 1)
        columns = self.gate(group_norm(self.norm, self.conv(average(x, (2,))))).unsqueeze(2)  # (B, C, 1, W)
        return times(x * rows.to(x.dtype), columns)
