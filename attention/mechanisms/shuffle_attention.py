"""ShuffleAttention: channel and spatial gates in groups, then a channel shuffle."""

import torch
from torch import Tensor, nn

from attention.layers.checks import largest_divisor, positive
from attention.layers.tensor_ops import keep_format, shuffle_channels, split_axis, upcast
from attention.registry import ATTENTION


@ATTENTION.register("ShuffleAttention", "SANet", "sa_layer")
class ShuffleAttention(nn.Module):
    """Gate half of each group by its channel means and half by its normalised map, then shuffle the parts.

    Per group: x₀ ⊙ σ(w_c GAP(x₀) + b_c) and x₁ ⊙ σ(w_s IN(x₁) + b_s), IN the instance norm with its own scale and
    shift; then channel_shuffle(2). The parameters are shared by the groups.

    Args:
        channels: C of input and output, even.
        groups: wanted G; the largest divisor of C / 2 that does not exceed it is used (64 as the authors; ports use 8).

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format.

    Raises:
        ValueError: if channels is odd or an argument is out of range.

    Source:
        Zhang, Yang, SA-Net, ICASSP 2021, arXiv:2102.00240, §3; authors' code wofmanaf/SA-Net models/sa_resnet.py.
        Differs: groups adapt to C.
    """

    def __init__(self, channels: int, groups: int = 64) -> None:
        super().__init__()
        positive(channels=channels)
        if channels % 2:
            raise ValueError(f"channels={channels} is odd, expected an even number: each group is split in two")
        self.groups = largest_divisor(channels // 2, groups)
        width = channels // (2 * self.groups)
        self.channel_weight = nn.Parameter(torch.zeros(width))
        self.channel_bias = nn.Parameter(torch.ones(width))
        self.spatial_weight = nn.Parameter(torch.zeros(width))
        self.spatial_bias = nn.Parameter(torch.ones(width))
        self.norm_weight = nn.Parameter(torch.ones(width))
        self.norm_bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        """Gate and shuffle x (B, C, H, W)."""
        parts = split_axis(x, 1, (self.groups, 2, -1))  # (B, G, 2, C / 2G, H, W)
        first, second = parts[:, :, 0], parts[:, :, 1]
        channel = torch.sigmoid(upcast(first).mean((3, 4)) * self.channel_weight + self.channel_bias)
        # Norm, scale and shift of the second half are one affine map per channel: σ(a·x₁ + b).
        variance, mean = torch.var_mean(upcast(second), (3, 4), correction=0)
        # Not rsqrt(…) · weight: ONNX Runtime's fusion of that loses a weight that equals another one.
        a = self.norm_weight * self.spatial_weight / torch.sqrt(variance + 1e-5)
        b = self.norm_bias * self.spatial_weight + self.spatial_bias - mean * a
        spatial = torch.sigmoid(torch.addcmul(b[..., None, None], upcast(second), a[..., None, None]))
        gated = torch.stack((first * channel[..., None, None].to(x.dtype), second * spatial.to(x.dtype)), 2)
        return keep_format(shuffle_channels(gated.flatten(1, 3), 2).reshape(x.shape), x)
