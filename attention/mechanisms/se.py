"""SE: squeeze-and-excitation."""

from torch import Tensor, nn

from attention.layers.checks import one_of, reduced_channels
from attention.layers.conv_norm import zero_init
from attention.layers.gates import make_gate
from attention.layers.gating import gate_channels
from attention.layers.pooling import pool_mean
from attention.registry import ATTENTION


@ATTENTION.register("SE", "ChannelAttention", "SELayer", "SENet")
class SE(nn.Module):
    """Gate each channel by a small network that sees the means of all channels.

    y = x ⊙ σ(W₂ δ(W₁ GAP(x) + b₁) + b₂)

    Args:
        channels: C of input and output, ≥ 1.
        reduction: squeeze ratio r; the hidden width is max(C // r, min_hidden).
        min_hidden: smallest hidden width (the authors have none; their narrowest layer gives 16).
        bias: whether both layers have biases; the copies in articles and many collections have none.
        gate: sigmoid, 2sigmoid or 1+tanh; the last two start as the identity.
        dims: number of spatial axes, 1, 2 or 3.

    Shape:
        input (B, C, *spatial) float; output the same shape, dtype and memory format.

    Raises:
        ValueError: if an argument is out of range.

    Source:
        Hu, Shen, Sun, Squeeze-and-Excitation Networks, CVPR 2018, arXiv:1709.01507, §3; authors' definition
        hujie-frank/SENet models/SE-ResNet-50.prototxt. Differs: min_hidden.
    """

    def __init__(
        self,
        channels: int,
        reduction: float = 16,
        *,
        min_hidden: int = 4,
        bias: bool = True,
        gate: str = "sigmoid",
        dims: int = 2,
    ) -> None:
        super().__init__()
        one_of(dims, (1, 2, 3), "dims")
        hidden = reduced_channels(channels, reduction, min_hidden)
        self.fc1 = nn.Linear(channels, hidden, bias=bias)
        self.act = nn.ReLU()
        self.fc2 = nn.Linear(hidden, channels, bias=bias)
        self.gate = make_gate(gate)
        self.starts_at_identity = gate != "sigmoid"
        if self.starts_at_identity:
            zero_init(self.fc2)

    def forward(self, x: Tensor) -> Tensor:
        """Gate the channels of x (B, C, *spatial)."""
        weights = self.gate(self.fc2(self.act(self.fc1(pool_mean(x)))))  # (B, C)
        return gate_channels(x, weights)
