"""CBAM: convolutional block attention module."""

import torch
from torch import Tensor, nn

from attention.layers.checks import odd, one_of, reduced_channels
from attention.layers.conv_norm import ConvNorm, zero_init
from attention.layers.gates import make_gate
from attention.layers.gating import gate_channels, gate_positions
from attention.layers.pooling import axis_max_mean, planes, pool_max_mean
from attention.registry import ATTENTION


@ATTENTION.register("CBAM", "CbamNet")
class CBAM(nn.Module):
    """Gate channels, then positions, by pooled statistics of the map itself.

    x₁ = x ⊙ σ(MLP(GAP(x)) + MLP(GMP(x)));  y = x₁ ⊙ σ(BN(conv₇[max_c x₁; mean_c x₁]))

    Args:
        channels: C of input and output, ≥ 1.
        reduction: squeeze ratio r of eq. 2; the hidden width is max(C // r, min_hidden).
        kernel_size: spatial kernel, odd (7 in the paper).
        min_hidden: smallest hidden width (the authors have none).
        bias: whether the MLP has biases.
        norm: whether the spatial convolution is followed by batch normalisation.
        spatial_bias: whether the spatial convolution has a bias; None means where norm is off.
        gate: sigmoid, 2sigmoid or 1+tanh, for both gates; the last two start as the identity.
        dims: number of spatial axes, 1, 2 or 3.

    Shape:
        input (B, C, *spatial) float; output the same shape, dtype and memory format.

    Raises:
        ValueError: if kernel_size is even or an argument is out of range.

    Source:
        Woo et al., CBAM, ECCV 2018, arXiv:1807.06521, §3; authors' code Jongchan/attention-module MODELS/cbam.py.
        Differs: min_hidden. Where several channels share the maximum of a position, they share its gradient, while in
        theirs it goes to one of them; both are subgradients.
    """

    def __init__(
        self,
        channels: int,
        reduction: float = 16,
        kernel_size: int = 7,
        *,
        min_hidden: int = 4,
        bias: bool = True,
        norm: bool = True,
        spatial_bias: bool | None = None,
        gate: str = "sigmoid",
        dims: int = 2,
    ) -> None:
        super().__init__()
        one_of(dims, (1, 2, 3), "dims")
        odd(kernel_size=kernel_size)
        hidden = reduced_channels(channels, reduction, min_hidden)
        with_bias = not norm if spatial_bias is None else spatial_bias
        self.fc1 = nn.Linear(channels, hidden, bias=bias)
        self.act = nn.ReLU()
        self.fc2 = nn.Linear(hidden, channels, bias=bias)
        self.spatial = ConvNorm(2, 1, kernel_size, dims=dims, bias=with_bias, norm=norm, momentum=0.01)
        self.gate = make_gate(gate)
        self.starts_at_identity = gate != "sigmoid"
        if self.starts_at_identity:
            zero_init(self.fc2)
            zero_init(self.spatial.bn if norm else self.spatial.conv)

    def forward(self, x: Tensor) -> Tensor:
        """Gate the channels, then the positions, of x (B, C, *spatial)."""
        pooled = torch.stack(pool_max_mean(x))  # (2, B, C): one pass of the shared MLP for both
        logits = self.fc2(self.act(self.fc1(pooled))).sum(0)
        x = gate_channels(x, self.gate(logits))
        return gate_positions(x, self.gate(self.spatial(planes(*axis_max_mean(x, 1)))))
