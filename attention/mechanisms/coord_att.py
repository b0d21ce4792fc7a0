"""CoordAtt: coordinate attention."""

import torch
from torch import Tensor, nn

from attention.layers.checks import reduced_channels
from attention.layers.conv_norm import ConvNorm, zero_init
from attention.layers.gates import make_gate
from attention.layers.gating import times
from attention.layers.pooling import average
from attention.registry import ATTENTION


@ATTENTION.register("CoordAtt", "CA", "CoordinateAttention")
class CoordAtt(nn.Module):
    """Gate channels per row and per column, so that the gates know where things are.

    [fʰ; fʷ] = hswish(BN(W₁[mean_W x; mean_H x]));  y = x ⊙ σ(W_h fʰ) ⊙ σ(W_w fʷ)

    Args:
        channels: C of input and output, ≥ 1.
        reduction: r; the hidden width is max(C // r, min_hidden).
        min_hidden: smallest hidden width (8 as the authors).
        bias: whether W₁, W_h and W_w have biases (the authors' have).
        gate: sigmoid, 2sigmoid or 1+tanh, for both gates; the last two start as the identity.

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format.

    Raises:
        ValueError: if an argument is out of range.

    Source:
        Hou, Zhou, Feng, Coordinate Attention, CVPR 2021, arXiv:2103.02907, §3.2; authors' code houqb/CoordAttention
        coordatt.py. Differs: nothing.
    """

    def __init__(
        self,
        channels: int,
        reduction: float = 32,
        *,
        min_hidden: int = 8,
        bias: bool = True,
        gate: str = "sigmoid",
    ) -> None:
        super().__init__()
        hidden = reduced_channels(channels, reduction, min_hidden)
        self.squeeze = ConvNorm(channels, hidden, dims=1, bias=bias, act=nn.Hardswish())
        self.rows = nn.Conv1d(hidden, channels, 1, bias=bias)
        self.columns = nn.Conv1d(hidden, channels, 1, bias=bias)
        self.gate = make_gate(gate)
        self.starts_at_identity = gate != "sigmoid"
        if self.starts_at_identity:
            zero_init(self.rows)
            zero_init(self.columns)

    def forward(self, x: Tensor) -> Tensor:
        """Gate rows and columns of x (B, C, H, W)."""
        height = x.shape[2]
        strips = self.squeeze(torch.cat((average(x, (3,)), average(x, (2,))), 2))  # (B, d, H + W)
        rows = self.gate(self.rows(strips[..., :height])).unsqueeze(3)  # (B, C, H, 1)
        columns = self.gate(self.columns(strips[..., height:])).unsqueeze(2)  # (B, C, 1, W)
        return times(x * rows.to(x.dtype), columns)
