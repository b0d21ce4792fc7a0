"""DoubleAttention: gather second-order features, then distribute them."""

from torch import Tensor, nn

from attention.layers.checks import reduced_channels
from attention.layers.conv_norm import zero_init
from attention.layers.tensor_ops import split_axis, upcast
from attention.registry import ATTENTION


@ATTENTION.register("DoubleAttention", "A2Net")
class DoubleAttention(nn.Module):
    """Gather a few descriptors of the whole map by soft attention and hand each position its own mixture of them.

    G = A softmax_N(B)ᵀ (m × n);  Z = G softmax_n(V);  y = x + W_r Z, with A, B, V 1 × 1 convolutions of x

    The cost is linear in the number of positions N.

    Args:
        channels: C of input and output, ≥ 1.
        reduction: m = n = max(C // reduction, min_hidden).
        min_hidden: smallest m and n.

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format.

    Raises:
        ValueError: if an argument is out of range.

    Source:
        Chen et al., A²-Nets: Double Attention Networks, NeurIPS 2018, arXiv:1810.11579, §3; no PyTorch code of the
        authors. Starts at identity: W_r is 0. Differs: that start.
    """

    starts_at_identity = True

    def __init__(self, channels: int, reduction: float = 4, *, min_hidden: int = 4) -> None:
        super().__init__()
        hidden = reduced_channels(channels, reduction, min_hidden)
        self.parts = nn.Conv2d(channels, 3 * hidden, 1)  # A, B and V
        self.out = nn.Conv2d(hidden, channels, 1)
        zero_init(self.out)

    def forward(self, x: Tensor) -> Tensor:
        """Gather from and distribute to x (B, C, H, W)."""
        features, gather, spread = self.parts(x).flatten(2).chunk(3, 1)  # (B, m, N) each
        where = upcast(gather).softmax(2).to(features.dtype)
        mixture = upcast(spread).softmax(1).to(features.dtype)
        descriptors = features @ where.transpose(1, 2)  # (B, m, n)
        return x + self.out(split_axis(descriptors @ mixture, 2, x.shape[2:])).to(x.dtype)
