"""C3 with attention in the place of its 3 × 3 convolutions, as forks of YOLOv5 have it: CoT3 and BoT3."""

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from models.blocks.c3 import C3Branches
from models.blocks.convolution import convolution
from models.catalog.channel_rules import scaled
from models.catalog.registry import register_block


class ContextMix(nn.Module):
    """Contextual transformer as its popular copies have it: weights averaged over the window, softmax over positions.

    k = δ(BN(conv₃ x));  a = softmax over positions of mean_δ W₂ δ(BN(W₁[k; x]));  y = k + a ⊙ BN(W x)

    Args:
        channels: C of input and output, a multiple of 4.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = channels // 2
        self.key_embed = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, groups=4, bias=False), nn.BatchNorm2d(channels), nn.ReLU()
        )
        self.value_embed = nn.Sequential(nn.Conv2d(channels, channels, 1, bias=False), nn.BatchNorm2d(channels))
        self.attention_embed = nn.Sequential(
            nn.Conv2d(2 * channels, hidden, 1, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU(),
            nn.Conv2d(hidden, 9 * channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Add the attended values to the context of each position."""
        batch, channels, height, width = x.shape
        key = self.key_embed(x)
        logits = self.attention_embed(torch.cat((key, x), 1)).view(batch, channels, 9, height * width).mean(2)
        values = self.value_embed(x).flatten(2)
        return key + (logits.softmax(2) * values).view(batch, channels, height, width)


class GlobalMix(nn.Module):
    """Attention of all positions to all, with biases, without positions and unscaled, as popular copies of BoT have it.

    Args:
        channels: C of input and output.
        heads: must divide C.
    """

    def __init__(self, channels: int, heads: int = 4) -> None:
        super().__init__()
        if channels % heads:
            raise ValueError(f"{channels} channels do not divide into {heads} heads")
        self.heads = heads
        self.query = nn.Conv2d(channels, channels, 1)
        self.key = nn.Conv2d(channels, channels, 1)
        self.value = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Gather for every position of x (B, C, H, W)."""
        batch, channels, height, width = x.shape
        query, key, value = (
            part(x).view(batch, self.heads, channels // self.heads, height * width).transpose(2, 3)
            for part in (self.query, self.key, self.value)
        )
        out = scaled_dot_product_attention(query, key, value, scale=1.0)
        return out.transpose(2, 3).reshape(batch, channels, height, width)


class _Unit(nn.Module):
    """A 1 × 1 convolution, then a mixing of positions; both past a shortcut where it is wanted."""

    def __init__(self, channels: int, mix: nn.Module, shortcut: bool) -> None:
        super().__init__()
        self.cv1 = convolution(channels, channels)
        self.cv2 = mix
        self.add = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """Mix positions."""
        out: Tensor = self.cv2(self.cv1(x))
        return x + out if self.add else out


@register_block(scaled(repeats=True))
class CoT3(C3Branches):
    """C3 whose bottlenecks end in a contextual transformer.

    Args:
        c1, c2: as C3Branches.
        n: how many bottlenecks.
        shortcut: whether they add their input.
        g: taken and without effect, as in the forks.
        e: width of the branches over c2, which must then be a multiple of 4.

    Source:
        Li et al., Contextual Transformer Networks, TPAMI 2022, arXiv:2107.12292, in the form that YOLOAir published;
        the mechanism CoT here is the paper's.
    """

    def __init__(self, c1: int, c2: int, n: int = 1, shortcut: bool = True, g: int = 1, e: float = 0.5) -> None:
        super().__init__(c1, c2, e)
        self.m = nn.Sequential(*(_Unit(self.hidden, ContextMix(self.hidden), shortcut) for _ in range(n)))


@register_block(scaled(repeats=True))
class BoT3(C3Branches):
    """C3 whose bottlenecks end in attention of all positions to all.

    Args:
        c1, c2, e: as C3Branches.
        n: how many bottlenecks.
        e2: width within a bottleneck over its own; only 1 fits.
        w, h: taken and without effect, as in the forks, which leave positions out.

    Source:
        Srinivas et al., Bottleneck Transformers, CVPR 2021, arXiv:2101.11605, in the form that forks of YOLOv5 have:
        biases, no positions, no scale. The forks' classes hold a linear layer that nothing runs; it is left out here.
    """

    def __init__(self, c1: int, c2: int, n: int = 1, e: float = 0.5, e2: float = 1, w: int = 20, h: int = 20) -> None:
        super().__init__(c1, c2, e)
        if e2 != 1:
            raise ValueError(f"e2={e2}, expected 1: another width within the bottleneck does not fit its attention")
        units = (_Unit(self.hidden, nn.Sequential(GlobalMix(self.hidden)), True) for _ in range(n))
        self.m = nn.Sequential(*units)
