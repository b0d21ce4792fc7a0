"""CrissCross: each position attends to its row and column, twice."""

import torch
from torch import Tensor, nn

from attention.layers.checks import positive, reduced_channels
from attention.layers.tensor_ops import full_precision, one_hot, upcast
from attention.registry import ATTENTION


@ATTENTION.register("CrissCross", "CCNet", "RCCA")
class CrissCross(nn.Module):
    """Gather from the own row and column; a second round with the same weights reaches every position.

    y = x + γ Σⱼ softmaxⱼ(qᵢᵀkⱼ) vⱼ over the H + W − 1 positions j of the cross, γ = 0 at the start; repeated

    Args:
        channels: C of input and output, ≥ 1.
        recurrence: rounds, 2 as the authors (many ports do one).
        reduction: q and k have max(C // reduction, min_hidden) channels.
        min_hidden: smallest width of q and k.

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format. The unscaled logits are float32 at
        least.

    Raises:
        ValueError: if an argument is out of range.

    Source:
        Huang et al., CCNet, ICCV 2019, arXiv:1811.11721, §3; authors' code speedinghzl/CCNet cc_attention/functions.py.
        Starts at identity, as theirs. Differs: min_hidden.
    """

    starts_at_identity = True

    def __init__(self, channels: int, recurrence: int = 2, *, reduction: float = 8, min_hidden: int = 4) -> None:
        super().__init__()
        positive(recurrence=recurrence)
        hidden = reduced_channels(channels, reduction, min_hidden)
        self.recurrence = recurrence
        self.query = nn.Conv2d(channels, hidden, 1)
        self.key = nn.Conv2d(channels, hidden, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.gamma = nn.Parameter(torch.zeros(()))

    def _round(self, x: Tensor) -> Tensor:
        query, key, value = self.query(x), self.key(x), self.value(x)
        height = x.shape[2]
        with full_precision(x):
            query, key, value = upcast(query), upcast(key), upcast(value)
            column = (query.permute(0, 3, 2, 1) @ key.permute(0, 3, 1, 2)).transpose(1, 2)  # (B, H, W, H)
            itself = one_hot(height, query)[:, None] > 0  # counted in the row only
            column = column.masked_fill(itself, float("-inf"))
            row = query.permute(0, 2, 3, 1) @ key.permute(0, 2, 1, 3)  # (B, H, W, W)
            weights = torch.cat((column, row), 3).softmax(3)
            from_column = (weights[..., :height].transpose(1, 2) @ value.permute(0, 3, 2, 1)).permute(0, 3, 2, 1)
            from_row = (weights[..., height:] @ value.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
            gathered = self.gamma * (from_column + from_row)
        return x + gathered.to(x.dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Gather for every position of x (B, C, H, W)."""
        for _ in range(self.recurrence):
            x = self._round(x)
        return x
