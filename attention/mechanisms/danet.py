"""DANet: position and channel self-attention side by side."""

import torch
from torch import Tensor, nn

from attention.layers.checks import one_of, reduced_channels
from attention.layers.tensor_ops import dot_product_attention, from_tokens, full_precision, split_axis, tokens, upcast
from attention.registry import ATTENTION


@ATTENTION.register("DANet", "DualAttention")
class DANet(nn.Module):
    """Add self-attention over positions and self-attention over channels.

    P = softmaxⱼ(qᵢᵀkⱼ) v;  K = softmax(max(E) − E) x, E = x xᵀ (C × C);  y = x + α P + β K, α = β = 0 at the start

    The channel part attends to the channels that are least alike, as in the authors' code.

    Args:
        channels: C of input and output, ≥ 1.
        branches: both, position or channel.
        reduction: q and k have max(C // reduction, min_hidden) channels.
        min_hidden: smallest width of q and k.

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format. Logits are unscaled sums, so both
        attentions are computed in float32 at least.

    Raises:
        ValueError: if branches is unknown or an argument is out of range.

    Source:
        Fu et al., Dual Attention Network, CVPR 2019, arXiv:1809.02983, §3.2–3.3; authors' code junfu1115/DANet
        encoding/nn/da_att.py. Starts at identity, as theirs. Differs: one residual for the sum of both; the
        segmentation head around them is left out.
    """

    starts_at_identity = True

    def __init__(self, channels: int, *, branches: str = "both", reduction: float = 8, min_hidden: int = 4) -> None:
        super().__init__()
        one_of(branches, ("both", "position", "channel"), "branches")
        hidden = reduced_channels(channels, reduction, min_hidden)
        self.branches = branches
        self.wider = hidden - channels  # of q and k over v
        if branches != "channel":
            self.query = nn.Conv2d(channels, hidden, 1)
            self.key = nn.Conv2d(channels, hidden, 1)
            self.value = nn.Conv2d(channels, channels, 1)
            self.alpha = nn.Parameter(torch.zeros(()))
        if branches != "position":
            self.beta = nn.Parameter(torch.zeros(()))

    def _by_position(self, x: Tensor) -> Tensor:
        query, key, value = tokens(self.query(x)), tokens(self.key(x)), tokens(self.value(x))
        with full_precision(x):
            return from_tokens(
                dot_product_attention(upcast(query), upcast(key), upcast(value), 1.0, wider=self.wider), x
            )

    @staticmethod
    def _by_channel(x: Tensor) -> Tensor:
        with full_precision(x):
            flat = upcast(x).flatten(2)
            energy = flat @ flat.transpose(1, 2)  # (B, C, C)
            # A shift, as the authors have it, without which OpenVINO computes this wrongly; it has no gradient.
            return split_axis((energy.detach().amax(2, keepdim=True) - energy).softmax(2) @ flat, 2, x.shape[2:])

    def forward(self, x: Tensor) -> Tensor:
        """Add both attentions to x (B, C, H, W)."""
        out = x
        if self.branches != "channel":
            out = out + (self.alpha * self._by_position(x)).to(x.dtype)
        if self.branches != "position":
            out = out + (self.beta * self._by_channel(x)).to(x.dtype)
        return out
