"""The convolution that blocks are made of: ultralytics' Conv, imported when the first block is constructed."""

import itertools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def convolution(
    c1: int, c2: int, k: int = 1, s: int = 1, p: int | None = None, g: int = 1, act: bool | nn.Module = True
) -> nn.Module:
    """Return a convolution without bias, batch normalisation and an activation.

    Imported here, so that reading a model description does not load ultralytics.

    Args:
        c1: channels read.
        c2: channels returned.
        k: kernel.
        s: stride.
        p: padding, half the kernel by default.
        g: groups.
        act: the model's activation (True), none (False), or a module.
    """
    from models.upstream.layers import Conv

    conv: nn.Module = Conv(c1, c2, k, s, p, g, act=act)
    return conv


def bottlenecks(channels: int, n: int, shortcut: bool, g: int, act: nn.Module | None = None) -> nn.Sequential:
    """Return n bottlenecks of YOLOv5, a 1 × 1 convolution and a 3 × 3 one of the same width each.

    Args:
        channels: read and returned.
        n: how many.
        shortcut: whether each adds its input.
        g: groups of the 3 × 3 convolutions.
        act: activation, the model's by default.
    """
    from models.upstream.layers import block

    made = [block.Bottleneck(channels, channels, shortcut, g, k=((1, 1), (3, 3)), e=1.0) for _ in range(n)]
    for bottleneck in made if act is not None else ():
        bottleneck.cv1.act = bottleneck.cv2.act = act
    return nn.Sequential(*made)


def conv_norm(c1: int, c2: int, k: int = 1, s: int = 1, g: int = 1) -> list[nn.Module]:
    """Return a bare convolution without bias and its batch normalisation, to be spread in a sequence."""
    return [nn.Conv2d(c1, c2, k, s, k // 2, groups=g, bias=False), nn.BatchNorm2d(c2)]


class ChannelNorm(nn.Module):
    """Normalise each position over its channels.

    Args:
        channels: C.
        eps: added to the variance.

    Shape:
        input and output (B, C, H, W).

    Source:
        Ba et al., Layer Normalization, arXiv:1607.06450, over the channels of a map as ConvNeXt and HorNet use it.
    """

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Normalise."""
        last = x.permute(0, 2, 3, 1)
        normed = nn.functional.layer_norm(last, self.weight.shape, self.weight, self.bias, self.eps)
        return normed.permute(0, 3, 1, 2)


def numbers_at_most(args: Sequence[Any], most: int, expected: str) -> None:
    """Refuse a row with more arguments than its block takes.

    Raises:
        ValueError: naming those that it takes.
    """
    if len(args) > most:
        raise ValueError(f"has {len(args)} arguments, expected at most [{expected}]")


class FoldingSequence(nn.Sequential):
    """Layers in a row that merge each batch normalisation into the convolution before it when the model is fused.

    Shape:
        as its layers.
    """

    @torch.no_grad()
    def fuse(self) -> None:
        """Merge, in place; a normalisation leaves an identity, so that the positions of the others stay."""
        layers = list(self)
        for i, (layer, after) in enumerate(itertools.pairwise(layers)):
            if type(layer) is nn.Conv2d and type(after) is nn.BatchNorm2d and not after.training:
                self[i] = fuse_conv_bn_eval(layer, after)
                self[i + 1] = nn.Identity()
