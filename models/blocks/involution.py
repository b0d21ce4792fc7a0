"""Involution: kernels that differ by position and are shared by channels."""

from typing import Any

from torch import Tensor, nn
from torch.nn.functional import unfold

from models.blocks.convolution import convolution, numbers_at_most
from models.catalog.channel_rules import Call, Reads, Scale, integer
from models.catalog.registry import register_block

_GROUP = 16  # channels that share a kernel


def _involution(args: tuple[Any, ...], number: int, reads: Reads, scale: Scale) -> Call:
    """Read Involution rows `[channels, kernel, stride]`, which keep the channels."""
    channels, stride = reads.one()
    numbers_at_most(args, 3, "channels, kernel, stride")
    kernel, step = integer(args, 1, "kernel", 7), integer(args, 2, "stride", 1)
    if args and scale.channels(integer(args, 0, "channels")) != channels:
        raise ValueError(
            f"argument 1 (channels) is {args[0]}, {scale.channels(args[0])} after scaling, but an involution keeps the "
            f"{channels} channels that it reads: put a Conv before it"
        )
    if kernel % 2 == 0 or kernel > 31 or channels % _GROUP:
        raise ValueError(f"kernel {kernel} on {channels} channels: expected an odd kernel, and a multiple of {_GROUP}")
    if number > 1 and step > 1:
        raise ValueError(f"number {number} repeats a layer with stride {step}: write 1")
    return Call((channels, channels, kernel, step), channels, None if stride is None else stride * step, number)


@register_block(_involution, "involution")
class Involution(nn.Module):
    """Sum each neighbourhood by weights predicted at its centre; 16 channels share them.

    Args:
        c1: channels read, a multiple of 16.
        c2: the same.
        kernel_size: of the neighbourhood, odd.
        stride: of the output; the weights are then predicted from a pooled map.

    Shape:
        input (B, c1, H, W), H and W multiples of the stride; output (B, c1, H / stride, W / stride).

    Source:
        Li et al., Involution, CVPR 2021, arXiv:2103.06255, eqs. 4–6, reduction 4. Both convolutions are normalised and
        activated as in forks of YOLOv5; the authors do so with the first only.
    """

    def __init__(self, c1: int, c2: int, kernel_size: int = 7, stride: int = 1) -> None:
        super().__init__()
        self.kernel_size, self.stride, self.groups = kernel_size, stride, c1 // _GROUP
        self.conv1 = convolution(c1, c1 // 4)
        self.conv2 = convolution(c1 // 4, kernel_size**2 * self.groups)
        self.avgpool = nn.AvgPool2d(stride, stride) if stride > 1 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Predict weights and sum."""
        weights = self.conv2(self.conv1(self.avgpool(x)))
        batch, _, height, width = weights.shape
        weights = weights.view(batch, self.groups, 1, self.kernel_size**2, height, width)
        near = unfold(x, self.kernel_size, padding=self.kernel_size // 2, stride=self.stride)
        near = near.view(batch, self.groups, _GROUP, self.kernel_size**2, height, width)
        return (weights * near).sum(3).view(batch, -1, height, width)
