"""SKDilated: selective kernels over two plain dilated convolutions."""

from torch import Tensor, nn

from attention.layers.checks import reduced_channels
from attention.layers.conv_norm import ConvNorm
from attention.layers.gating import weighted_sum
from attention.layers.pooling import pool_mean
from attention.layers.tensor_ops import split_axis
from attention.registry import ATTENTION


@ATTENTION.register("SKDilated", "SkNet")
class SKDilated(nn.Module):
    """Choose, channel by channel, between a 3 × 3 convolution and one of dilation 2.

    Fᵢ = convᵢ(x);  [z₁; z₂] = W₂ δ(W₁ GAP(F₁ + F₂));  y = Σ softmaxᵢ(zᵢ) ⊙ Fᵢ

    A light form that is passed around as "SKNet": no normalisation, no activation in the branches. The circulating code
    creates a softmax and never calls it, so its weights are unbounded; here it is applied, unless softmax is off.

    Args:
        channels: C of input and output, ≥ 1.
        reduction: squeeze ratio; the hidden width is max(C // reduction, min_hidden).
        min_hidden: smallest hidden width (the circulating code has none).
        softmax: whether the logits pass the softmax. Off is the module as the tutorial prints it, which weighs the
            branches by raw numbers around 0: the map almost vanishes at the start.

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format.

    Raises:
        ValueError: if an argument is out of range.

    Source:
        After Li et al., Selective Kernel Networks, CVPR 2019, arXiv:1903.06586; the form is that of a widely copied
        Chinese tutorial. Differs from it: the softmax, min_hidden.
    """

    def __init__(self, channels: int, reduction: float = 16, *, min_hidden: int = 4, softmax: bool = True) -> None:
        super().__init__()
        hidden = reduced_channels(channels, reduction, min_hidden)
        self.softmax = softmax
        self.near = ConvNorm(channels, channels, 3, bias=True, norm=False)
        self.far = ConvNorm(channels, channels, 3, dilation=2, bias=True, norm=False)
        self.fc1 = nn.Linear(channels, hidden, bias=False)
        self.act = nn.ReLU(inplace=True)
        self.fc2 = nn.Linear(hidden, 2 * channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Choose between the branches for x (B, C, H, W)."""
        near, far = self.near(x), self.far(x)
        logits = self.fc2(self.act(self.fc1(pool_mean(near) + pool_mean(far))))
        weights = split_axis(logits, 1, (2, -1))  # (B, 2, C)
        if self.softmax:
            weights = weights.softmax(1)
        return weighted_sum((near, far), weights.unbind(1)).to(x.dtype)
