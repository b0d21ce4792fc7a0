"""PolarizedSelfAttention: full resolution in one direction, collapsed in the other."""

import torch
from torch import Tensor, nn

from attention.layers.checks import one_of, reduced_channels
from attention.layers.gating import gate_channels, gate_positions
from attention.layers.pooling import average
from attention.layers.tensor_ops import full_precision, split_axis, upcast
from attention.registry import ATTENTION, VARIANTS


@ATTENTION.register("PolarizedSelfAttention", "PSA_p", "ParallelPolarizedSelfAttention", *VARIANTS)
class PolarizedSelfAttention(nn.Module):
    """A channel gate from attention-pooled positions and a position gate from attention-pooled channels.

    channel: c = σ(W_z(W_v x · softmax_N(W_q x)));  position: s = σ(softmax(…)), from q̄ = GAP(W_q′ x) and v = W_v′ x:

    - definition code, order parallel (PSA_p): softmax_N(q̄ᵀv);
    - definition code, order sequential (PSA_s): q̄ᵀ softmax_N(v), and W_z is a bottleneck C/2 → C/8, LN, δ → C;
    - definition paper: softmax_c(q̄)ᵀ v.

    y = x ⊙ c + x ⊙ s (parallel), or s is taken of x ⊙ c and multiplied onto it (sequential).

    Args:
        channels: C of input and output, ≥ 1.
        order: parallel or sequential.
        definition: code or paper; the authors' two files and their paper are three different functions.
        reduction: the inner width is max(C // reduction, min_hidden).
        min_hidden: smallest inner width.

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format.

    Raises:
        ValueError: if order or definition is unknown or an argument is out of range.

    Source:
        Liu et al., Polarized Self-Attention, Neurocomputing 2022, arXiv:2107.00782, eq. 1–4; authors' code
        DeLightCMU/PSA semantic-segmentation/network/PSA.py (initial values as there). Differs: min_hidden.
    """

    def __init__(
        self,
        channels: int,
        order: str = "parallel",
        definition: str = "code",
        *,
        reduction: float = 2,
        min_hidden: int = 4,
    ) -> None:
        super().__init__()
        one_of(order, ("parallel", "sequential"), "order")
        one_of(definition, ("code", "paper"), "definition")
        hidden = reduced_channels(channels, reduction, min_hidden)
        self.order = order
        self.position_softmax = "channel" if definition == "paper" else ("result" if order == "parallel" else "value")
        self.channel_query = nn.Conv2d(channels, 1, 1, bias=False)
        self.channel_value = nn.Conv2d(channels, hidden, 1, bias=False)
        if self.position_softmax == "value":
            narrow = max(hidden // 4, min_hidden)
            self.channel_out = nn.Sequential(
                nn.Linear(hidden, narrow), nn.LayerNorm(narrow), nn.ReLU(inplace=True), nn.Linear(narrow, channels)
            )
        else:
            self.channel_out = nn.Sequential(nn.Linear(hidden, channels, bias=False))
        self.position_query = nn.Conv2d(channels, hidden, 1, bias=False)
        self.position_value = nn.Conv2d(channels, hidden, 1, bias=False)
        for layer in (self.channel_query, self.channel_value, self.position_query, self.position_value):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

    def _channel_gate(self, x: Tensor) -> Tensor:
        """(B, C)."""
        where = upcast(self.channel_query(x)).flatten(2).softmax(2)  # (B, 1, N)
        value = self.channel_value(x).flatten(2)
        return torch.sigmoid(self.channel_out(torch.bmm(value, where.to(value.dtype).transpose(1, 2)).squeeze(2)))

    def _position_gate(self, x: Tensor) -> Tensor:
        """(B, 1, H, W)."""
        # The mean of a 1 × 1 convolution is the convolution of the mean.
        query = upcast(self.position_query(average(x, (2, 3), keepdim=True))).flatten(2).transpose(1, 2)  # (B, 1, d)
        value = upcast(self.position_value(x)).flatten(2)  # (B, d, N)
        if self.position_softmax == "channel":
            query = query.softmax(2)
        elif self.position_softmax == "value":
            value = value.softmax(2)
        with full_precision(x):  # a sum of d products, which may leave the range of half precision
            pooled = query @ value
        if self.position_softmax == "result":
            pooled = pooled.softmax(2)
        return split_axis(torch.sigmoid(pooled), 2, x.shape[2:]).to(x.dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Gate x (B, C, H, W)."""
        by_channel = gate_channels(x, self._channel_gate(x))
        if self.order == "sequential":
            return gate_positions(by_channel, self._position_gate(by_channel))
        return by_channel + x * self._position_gate(x)
