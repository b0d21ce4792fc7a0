"""EfficientAdditive: additive attention without keys that meet queries."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attention.layers.checks import positive
from attention.layers.initial_values import small_normal
from attention.layers.tensor_ops import full_precision, keep_format, split_axis, upcast
from attention.registry import ATTENTION


@ATTENTION.register("EfficientAdditive", "EfficientAdditiveAttention", "SwiftFormer")
class EfficientAdditive(nn.Module):
    """Sum all queries, each by its own weight, to one vector, and let the keys of all positions meet only that.

    q, k = W_q x, W_k x, of length 1;  α = qᵀw_a / √d, of length 1 over the positions;  g = Σᵢ αᵢ qᵢ;
    y = W_f(W_p(g ⊙ k) + q)

    Args:
        channels: C of input and output, ≥ 1.
        heads: factor by which queries and keys are wider than C (1 in the authors' networks, 2 by default in their
            class).

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format.

    Raises:
        ValueError: if an argument is out of range.

    Source:
        Shaker et al., SwiftFormer, ICCV 2023, arXiv:2303.15446, §3.2; authors' code Amshaker/SwiftFormer
        models/swiftformer.py (EfficientAdditiveAttnetion, initial values as in its network). The lengths of 1 and W_f
        are the code's; the paper has neither α's normalisation nor W_f in its formula. Differs: nothing.
    """

    def __init__(self, channels: int, heads: int = 1) -> None:
        super().__init__()
        positive(channels=channels, heads=heads)
        wide = channels * heads
        self.scale = channels**-0.5
        self.query = nn.Conv2d(channels, wide, 1)
        self.key = nn.Conv2d(channels, wide, 1)
        self.importance = nn.Parameter(torch.randn(wide))
        self.project = nn.Conv2d(wide, wide, 1)
        self.out = nn.Conv2d(wide, channels, 1)
        small_normal(self.query, self.key, self.project, self.out)

    def forward(self, x: Tensor) -> Tensor:
        """Attend in x (B, C, H, W)."""
        with_query, with_key = self.query(x).flatten(2), self.key(x).flatten(2)
        with full_precision(x):
            query, key = (F.normalize(upcast(part), dim=1) for part in (with_query, with_key))  # (B, D, N)
            weights = F.normalize(upcast(self.importance) @ query * self.scale, dim=1)  # (B, N)
            summed = torch.bmm(query, weights.unsqueeze(2))  # (B, D, 1)
        query, met = (split_axis(part.to(with_query.dtype), 2, x.shape[2:]) for part in (query, summed * key))
        return keep_format(self.out(self.project(met) + query), x)
