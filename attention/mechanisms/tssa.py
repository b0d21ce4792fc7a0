"""TSSA: token statistics self-attention."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attention.layers.checks import largest_divisor, positive
from attention.layers.initial_values import small_normal
from attention.layers.tensor_ops import from_tokens, full_precision, keep_format, tokens, upcast
from attention.registry import ATTENTION


@ATTENTION.register("TSSA", "ToST", "AttentionTSSA")
class TSSA(nn.Module):
    """Let each head damp the directions in which its positions vary; no position is compared with another.

    w = W x in heads;  Π = softmax over the heads of τ‖ŵₙ‖², ŵ of length 1 over the positions;
    y = W_o(−Π ⊙ w / (1 + Σₙ Π w² / Σₙ Π)) + b

    Args:
        channels: C of input and output, ≥ 1.
        heads: wanted number of heads; the largest divisor of C that does not exceed it is used.
        qkv_bias: whether W has a bias.

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format. Squares are float32 at least.

    Raises:
        ValueError: if an argument is out of range.

    Source:
        Wu et al., Token Statistics Transformer: Linear-Time Attention via Variational Rate Reduction (ToST), ICLR 2025,
        arXiv:2412.17810, eq. 10–12; authors' code RobinWu218/ToST tost_vision/tost.py (AttentionTSSA, initial values as
        in its network). Differs: nothing.
    """

    def __init__(self, channels: int, heads: int = 8, *, qkv_bias: bool = False) -> None:
        super().__init__()
        positive(channels=channels, heads=heads)
        self.heads = largest_divisor(channels, heads, "heads")
        self.embed = nn.Conv2d(channels, channels, 1, bias=qkv_bias)
        self.temperature = nn.Parameter(torch.ones(self.heads, 1))
        self.out = nn.Conv2d(channels, channels, 1)
        small_normal(self.embed, self.out)

    def forward(self, x: Tensor) -> Tensor:
        """Damp x (B, C, H, W)."""
        embedded = tokens(self.embed(x), self.heads)  # (B, heads, N, d)
        with full_precision(x):
            w = upcast(embedded)
            membership = (F.normalize(w, dim=2).square().sum(3) * upcast(self.temperature)).softmax(1)  # (B, heads, N)
            shares = membership / (membership.sum(2, keepdim=True) + 1e-8)
            moments = shares.unsqueeze(2) @ w.square()  # (B, heads, 1, d)
            damped = -w * membership.unsqueeze(3) / (1 + moments)
        return keep_format(self.out(from_tokens(damped.to(embedded.dtype), x)), x)
