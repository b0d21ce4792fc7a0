"""MCA: multidimensional collaborative attention."""

import math

import torch
from torch import Tensor, nn

from attention.layers.checks import odd, positive
from attention.layers.tensor_ops import upcast
from attention.registry import ATTENTION


class AxisGate(nn.Module):
    """σ(conv_k(½(μ + s) + σ(a) μ + σ(b) s)) along one axis, μ mean and s standard deviation of the rest.

    Args:
        kernel_size: k, odd.

    Shape:
        (B, C, H, W) and an axis of length L → (B, L).
    """

    def __init__(self, kernel_size: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(1, 1, kernel_size, padding=kernel_size // 2, bias=False)
        self.weight = nn.Parameter(torch.rand(2))

    def forward(self, x: Tensor, axis: int) -> Tensor:
        """Compute the factors."""
        others = [i for i in (1, 2, 3) if i != axis]
        count = x.shape[others[0]] * x.shape[others[1]]
        variance, mean = torch.var_mean(upcast(x), others, correction=0)
        # A single value has no deviation; the slope of the root ends where squares vanish.
        deviation = (variance * (count / (count - 1 + (count == 1)))).clamp(min=1e-24).sqrt()
        share = torch.sigmoid(upcast(self.weight))
        pooled = (mean + deviation) / 2 + share[0] * mean + share[1] * deviation
        return torch.sigmoid(self.conv(pooled.unsqueeze(1).to(self.conv.weight.dtype))).squeeze(1)


@ATTENTION.register("MCA", "MCANet", "MCALayer")
class MCA(nn.Module):
    """Gate rows, columns and channels, each by mean and deviation of the rest, and average the three.

    y = ⅓(x ⊙ g_H + x ⊙ g_W + x ⊙ g_C), g = σ(conv(½(μ + s) + σ(a) μ + σ(b) s)) along its axis

    Args:
        channels: C of input and output, ≥ 1.
        spatial: whether channels are gated too, as in the authors' default; without them the other two are averaged.
            Their switch is called no_spatial.
        kernel_size: along rows and columns, odd.
        channel_kernel: along the channels, odd; None takes the authors' rule, round(|log₂ C − 1| / 1.5), one less if
            even.

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format.

    Raises:
        ValueError: if a kernel is even or an argument is out of range.

    Source:
        Yu et al., MCA: Multidimensional collaborative attention in deep convolutional neural networks for image
        recognition, Eng. Appl. Artif. Intell. 2023, doi:10.1016/j.engappai.2023.107079; authors' code ndsclark/MCANet
        Cifar/mca_module.py (MCALayer). Other papers have modules of this name. Differs: the kernel of the rule is at
        least 1; a deviation of a single value is 0.
    """

    def __init__(
        self, channels: int, *, spatial: bool = True, kernel_size: int = 3, channel_kernel: int | None = None
    ) -> None:
        super().__init__()
        positive(channels=channels)
        rule = round(abs(math.log2(channels) - 1) / 1.5)
        size = max(rule if rule % 2 else rule - 1, 1) if channel_kernel is None else channel_kernel
        odd(kernel_size=kernel_size, channel_kernel=size)
        self.rows = AxisGate(kernel_size)
        self.columns = AxisGate(kernel_size)
        self.channels = AxisGate(size) if spatial else None

    def forward(self, x: Tensor) -> Tensor:
        """Gate x (B, C, H, W)."""
        gates = self.rows(x, 2)[:, None, :, None] + self.columns(x, 3)[:, None, None, :]
        if self.channels is None:
            return x * (gates / 2).to(x.dtype)
        return x * ((gates + self.channels(x, 1)[:, :, None, None]) / 3).to(x.dtype)
