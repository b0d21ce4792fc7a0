"""S2Attention: spatial shifts in two orders, chosen by split attention."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attention.layers.checks import positive
from attention.layers.gating import weighted_sum
from attention.layers.tensor_ops import full_precision, keep_format, split_axis, upcast
from attention.registry import ATTENTION

# (axis, backwards?) of the quarters of the channels: down, up, right, left, and right, left, down, up.
ORDERS = (((2, False), (2, True), (3, False), (3, True)), ((3, False), (3, True), (2, False), (2, True)))


def shifted(x: Tensor, axis: int, backwards: bool) -> Tensor:
    """Move a map one position along an axis; the row or column that has nothing to come from stays.

    Args:
        x: any shape.
        axis: to move along.
        backwards: whether towards the first position.

    Returns:
        The same shape.
    """
    size = x.shape[axis]
    if backwards:
        return torch.cat((x.narrow(axis, 1, size - 1), x.narrow(axis, size - 1, 1)), axis)
    return torch.cat((x.narrow(axis, 0, 1), x.narrow(axis, 0, size - 1)), axis)


@ATTENTION.register("S2Attention", "S2MLPv2", "S2_MLPv2")
class S2Attention(nn.Module):
    """Let every channel choose among the map shifted in one order, shifted in another, and left in place.

    [x₁; x₂; x₃] = W₁ x + b₁;  u₁ is x₁ with the quarters of its channels moved down, up, right and left by one, u₂ is
    x₂ with them moved right, left, down and up, u₃ = x₃;  a = softmax_k(W_b GELU(W_a Σₖ Σ_N uₖ));
    y = W₂(Σₖ aₖ ⊙ uₖ) + b₂

    Args:
        channels: C of input and output, ≥ 1.

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format. Sums over positions are float32 at
        least.

    Raises:
        ValueError: if channels < 1.

    Source:
        Yu et al., S²-MLPv2: Improved Spatial-Shift MLP Architecture for Vision, 2021, arXiv:2108.01072, §3.2 and
        algorithm 1; the authors published no code. The width between W_a and W_b is C, as in the ports; layer
        normalisation and shortcut of their block are not part of it. Differs: nothing.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        positive(channels=channels)
        self.expand = nn.Conv2d(channels, 3 * channels, 1)
        self.fc1 = nn.Linear(channels, channels, bias=False)
        self.fc2 = nn.Linear(channels, 3 * channels, bias=False)
        self.out = nn.Conv2d(channels, channels, 1)
        self.quarters = [channels * i // 4 for i in range(5)]

    def _shifted(self, x: Tensor, order: tuple[tuple[int, bool], ...]) -> Tensor:
        """Move the quarters of the channels of (B, C, H, W)."""
        ends = zip(self.quarters[:-1], self.quarters[1:], order, strict=True)
        return torch.cat([shifted(x[:, start:end], *how) for start, end, how in ends if end > start], 1)

    def _choose(self, parts: list[Tensor]) -> Tensor:
        """Turn three maps (B, C, H, W) into weights (B, 3, C)."""
        with full_precision(parts[0]):
            pooled = torch.stack([upcast(part).sum((2, 3)) for part in parts]).sum(0)
            hidden = F.gelu(F.linear(pooled, upcast(self.fc1.weight)))
            return split_axis(F.linear(hidden, upcast(self.fc2.weight)), 1, (3, -1)).softmax(1)

    def forward(self, x: Tensor) -> Tensor:
        """Shift x (B, C, H, W) and choose."""
        first, second, third = self.expand(x).chunk(3, 1)
        parts = [self._shifted(first, ORDERS[0]), self._shifted(second, ORDERS[1]), third]
        weights = self._choose(parts)
        return keep_format(self.out(weighted_sum(parts, weights.unbind(1))), x)
