"""What SEAM and MultiSEAM share: depthwise and pointwise mixing, and a gate between 1 and e."""

import torch
from torch import Tensor, nn

from attention.layers.conv_norm import BatchNorm2d


class Shortcut(nn.Sequential):
    """Layers in order, whose output is added to the input."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply them; the shape stays."""
        return super().forward(x) + x


def mixing(channels: int, depth: int, kernel_size: int = 3) -> nn.Sequential:
    """Build a depthwise convolution with a shortcut and a pointwise one, each with GELU and then batch normalisation.

    Args:
        channels: C of input and output.
        depth: how often.
        kernel_size: of the depthwise convolutions, odd.

    Returns:
        (B, C, H, W) → the same.
    """
    layers: list[nn.Module] = []
    for _ in range(depth):
        wide = nn.Conv2d(channels, channels, kernel_size, padding=kernel_size // 2, groups=channels)
        layers += [Shortcut(wide, nn.GELU(), BatchNorm2d(channels))]
        layers += [nn.Conv2d(channels, channels, 1), nn.GELU(), BatchNorm2d(channels)]
    return nn.Sequential(*layers)


class ExponentialGate(nn.Module):
    """exp(σ(W₂ δ(W₁ z))), without biases.

    Args:
        channels: C.
        hidden: width between the layers.

    Shape:
        (B, C) → the same, between 1 and e.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, hidden, bias=False)
        self.act = nn.ReLU(inplace=True)
        self.fc2 = nn.Linear(hidden, channels, bias=False)

    def forward(self, z: Tensor) -> Tensor:
        """Compute the factors."""
        return torch.sigmoid(self.fc2(self.act(self.fc1(z)))).exp()
