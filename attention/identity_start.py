"""A wrapper that lets any mechanism start as the identity."""

import torch
from torch import Tensor, nn

from attention.layers.tensor_ops import exporting


class IdentityStart(nn.Module):
    """Blend a mechanism in, from nothing: y = x + γ·(A(x) − x), γ = 0 at the start.

    A network with pretrained weights therefore computes exactly what it did before, and training decides how much of
    the mechanism it wants. At γ = 0 only γ itself receives a gradient; A follows from the second step on.

    Args:
        attention: the mechanism A; it keeps the shape.

    Shape:
        input (B, C, *spatial) float; output the same shape and dtype.

    Source:
        The zero-initialised residual gate of Bachlechner et al., ReZero, UAI 2021, arXiv:2003.04887, applied to A(x) −
        x.
    """

    starts_at_identity = True

    def __init__(self, attention: nn.Module) -> None:
        super().__init__()
        self.attention = attention
        # Of no dimension, so that it does not raise a half precision map to float32.
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Apply the blend.

        Args:
            x: (B, C, *spatial).

        Returns:
            The same shape.
        """
        # Autocast leaves a mechanism that multiplies by its own parameters in float32; lerp wants one dtype.
        gamma, attended = self.gamma.to(x.dtype), self.attention(x).to(x.dtype)
        if exporting():  # whose form of lerp computes both of its cases
            return x + gamma * (attended - x)
        return torch.lerp(x, attended, gamma)
