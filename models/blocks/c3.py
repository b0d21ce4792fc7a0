"""The frame of YOLOv5's C3, which forks fill with units of their own."""

import torch
from torch import Tensor, nn

from models.blocks.convolution import convolution


class C3Branches(nn.Module):
    """Run units on one branch and nothing on the other, and join both by a convolution.

    A subclass sets `m`, the units, on maps of `hidden` channels.

    Args:
        c1: channels read.
        c2: channels returned.
        e: width of the branches over c2.

    Shape:
        input (B, c1, H, W); output (B, c2, H, W).

    Source:
        Jocher et al., YOLOv5 (C3), after Wang et al., CSPNet, CVPRW 2020, arXiv:1911.11929.
    """

    def __init__(self, c1: int, c2: int, e: float) -> None:
        super().__init__()
        self.hidden = int(c2 * e)
        self.cv1 = convolution(c1, self.hidden)
        self.cv2 = convolution(c1, self.hidden)
        self.cv3 = convolution(2 * self.hidden, c2)
        self.m: nn.Module = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Join the units' output and the branch past them."""
        out: Tensor = self.cv3(torch.cat((self.m(self.cv1(x)), self.cv2(x)), 1))
        return out
