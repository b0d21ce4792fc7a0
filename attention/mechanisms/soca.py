"""SOCA: second-order channel attention."""

import torch
from torch import Tensor, nn

from attention.layers.checks import positive, reduced_channels
from attention.layers.gating import gate_channels
from attention.layers.tensor_ops import full_precision, one_hot, upcast
from attention.registry import ATTENTION


def mean_of_root(x: Tensor, iterations: int) -> Tensor:
    """Average the columns of the square root of a covariance, which a Newton–Schulz iteration approximates.

    A = Σ / tr Σ;  Y₀ = A, Z₀ = I;  T = (3I − Z Y) / 2, Y ← Y T, Z ← T Z;  √Σ ≈ √(tr Σ) Y

    Args:
        x: (B, C, N) of float32 or wider; Σ is the covariance of its C rows.
        iterations: how often, at least 2.

    Returns:
        (B, C); 0 where every row is constant.
    """
    centred = x - x.mean(2, keepdim=True)
    covariance = centred @ centred.transpose(1, 2) / x.shape[2]
    trace = (centred.square().sum((1, 2)) / x.shape[2]).clamp(min=1e-24)[:, None, None]
    unit = one_hot(x.shape[1], x)
    y = covariance / trace
    z = 1.5 * unit - 0.5 * y
    y = y @ z
    for _ in range(iterations - 2):
        step = 1.5 * unit - 0.5 * (z @ y)
        y, z = y @ step, step @ z
    # Of the last step the means are wanted only: a row times two matrices instead of two products of matrices.
    row = y.mean(1, keepdim=True)
    return ((1.5 * row - 0.5 * ((row @ z) @ y)) * trace.sqrt()).squeeze(1)


@ATTENTION.register("SOCA", "SecondOrderChannelAttention")
class SOCA(nn.Module):
    """Gate each channel by how it varies together with the others.

    y = x ⊙ σ(W₂ δ(W₁ s + b₁) + b₂), s the mean of the rows of √Σ, Σ the covariance of the channels over the positions

    Args:
        channels: C of input and output, ≥ 1.
        reduction: squeeze ratio r; the hidden width is max(C // r, min_hidden).
        iterations: of Newton and Schulz for the square root, at least 2.
        min_hidden: smallest hidden width.

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format. Covariance and root are float32 at
        least.

    Raises:
        ValueError: if iterations is below 2 or an argument is out of range.

    Source:
        Dai et al., Second-order Attention Network for Single Image Super-Resolution (SAN), CVPR 2019,
        doi:10.1109/CVPR.2019.01132, §3.3; authors' code daitao/SAN TrainCode/model/san.py (SOCA). Differs: min_hidden;
        the covariance is of the whole map, where theirs is of its middle 1,000 × 1,000; constant maps give s = 0, not
        NaN.
    """

    def __init__(self, channels: int, reduction: float = 8, *, iterations: int = 5, min_hidden: int = 4) -> None:
        super().__init__()
        positive(iterations=iterations)
        if iterations < 2:
            raise ValueError(f"iterations={iterations}, expected at least 2")
        hidden = reduced_channels(channels, reduction, min_hidden)
        self.iterations = iterations
        self.fc1 = nn.Linear(channels, hidden)
        self.act = nn.ReLU()
        self.fc2 = nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Gate the channels of x (B, C, H, W)."""
        with full_precision(x):
            statistics = mean_of_root(upcast(x).flatten(2), self.iterations)
        hidden = self.act(self.fc1(statistics.to(self.fc1.weight.dtype)))
        return gate_channels(x, torch.sigmoid(self.fc2(hidden)))
