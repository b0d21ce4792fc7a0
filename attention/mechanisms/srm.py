"""SRM: style-based recalibration."""

import torch
from torch import Tensor, nn

from attention.layers.checks import positive
from attention.layers.conv_norm import BatchNorm1d
from attention.layers.gates import make_gate
from attention.layers.gating import gate_channels
from attention.layers.tensor_ops import upcast
from attention.registry import ATTENTION


@ATTENTION.register("SRM")
class SRM(nn.Module):
    """Gate each channel by its own mean and standard deviation.

    t = (μ, √(σ² + ε)) of the channel, σ² unbiased;  y = x ⊙ σ(BN(w·t)), w = 0 at the start

    Args:
        channels: C of input and output, ≥ 1.
        gate: sigmoid, 2sigmoid or 1+tanh; the last two start as the identity.

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format.

    Raises:
        ValueError: if channels < 1.

    Source:
        Lee, Kim, Nam, SRM, ICCV 2019, arXiv:1903.10829, §3; authors' code
        hyunjaelee410/style-based-recalibration-module models/recalibration_modules.py. Differs: a 1 × 1 map has σ = √ε,
        not NaN; a single image in training mode uses the running statistics.
    """

    def __init__(self, channels: int, *, gate: str = "sigmoid") -> None:
        super().__init__()
        positive(channels=channels)
        self.weight = nn.Parameter(torch.zeros(channels, 2))
        self.bn = BatchNorm1d(channels)
        self.gate = make_gate(gate)
        self.starts_at_identity = gate != "sigmoid"

    def forward(self, x: Tensor) -> Tensor:
        """Gate the channels of x (B, C, H, W)."""
        variance, mean = torch.var_mean(upcast(x), (2, 3), correction=0)
        count = x.shape[2] * x.shape[3]
        deviation = (variance * count / (count - 1 + (count == 1)) + 1e-5).sqrt()
        style = mean * self.weight[:, 0] + deviation * self.weight[:, 1]
        return gate_channels(x, self.gate(self.bn(style.to(self.bn.weight.dtype))))
