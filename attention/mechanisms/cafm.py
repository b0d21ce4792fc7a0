"""CAFM: convolution and attention fusion module."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attention.layers.checks import largest_divisor, one_of, positive
from attention.layers.initial_values import uniform_by_fan_in
from attention.layers.tensor_ops import full_precision, keep_format, split_axis, upcast
from attention.registry import ATTENTION


@ATTENTION.register("CAFM")
class CAFM(nn.Module):
    """Add attention over channels and a convolution that are both made from the same queries, keys and values.

    [q; k; v] = dw₃(W x);  g = W_o(softmax(τ q̂ k̂ᵀ) v), q̂ and k̂ of length 1 over the positions;  l = conv₃(F [q; k; v]);
    y = g + l

    F mixes the 3h heads' parts to nine maps for each of the C / h channels of a head, and conv₃ is grouped by these.

    Args:
        channels: C of input and output, ≥ 1.
        heads: wanted number of heads h; the largest divisor of C that does not exceed it is used (1, 2, 4 and 8 in the
            stages of the authors' network).
        definition: code or paper. The authors' code reinterprets the memory of [q; k; v] before F, so that channels and
            positions are scrambled; the paper's text permutes them.
        bias: whether W, dw₃ and W_o have biases.

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format.

    Raises:
        ValueError: if definition is unknown or an argument is out of range.

    Source:
        Hu et al., Hybrid Convolutional and Attention Network for Hyperspectral Image Denoising (HCANet), GRSL 2024,
        arXiv:2403.10067, §II-B; authors' code summitgao/HCANet HCANet.py (Attention, initial values as there). Other
        papers have modules of this name. Differs: two-dimensional convolutions where theirs have a third axis of
        length 1 (the same function).
    """

    def __init__(self, channels: int, heads: int = 8, *, definition: str = "code", bias: bool = False) -> None:
        super().__init__()
        positive(channels=channels, heads=heads)
        one_of(definition, ("code", "paper"), "definition")
        self.heads = largest_divisor(channels, heads, "heads")
        self.definition = definition
        width = channels // self.heads
        self.temperature = nn.Parameter(torch.ones(self.heads, 1, 1))
        self.qkv = nn.Conv2d(channels, 3 * channels, 1, bias=bias)
        self.local = nn.Conv2d(3 * channels, 3 * channels, 3, padding=1, groups=3 * channels, bias=bias)
        self.out = nn.Conv2d(channels, channels, 1, bias=bias)
        self.mix = nn.Conv1d(3 * self.heads, 9, 1)
        self.conv = nn.Conv2d(9 * width, channels, 3, padding=1, groups=width)
        uniform_by_fan_in(self.local, 27)  # a kernel of three positions along the third axis, of which one is read
        uniform_by_fan_in(self.conv, 9 * 27)

    def _convolve(self, qkv: Tensor) -> Tensor:
        """(B, 3C, H, W) → (B, C, H, W)."""
        batch, height, width = qkv.shape[0], qkv.shape[2], qkv.shape[3]
        parts = 3 * self.heads
        if self.definition == "paper":
            mixed = self.mix(split_axis(qkv.flatten(2), 1, (parts, -1)).flatten(2))  # (B, 9, d·N)
            nine = mixed.reshape(batch, 9, -1, height * width).transpose(1, 2)  # (B, d, 9, N)
        else:
            rows = qkv.contiguous().reshape(batch, height * width, parts, -1).transpose(1, 2).flatten(2)  # (B, 3h, N·d)
            mixed = self.mix(rows)
            nine = mixed.reshape(batch, 9, height * width, -1).permute(0, 3, 1, 2)  # (B, d, 9, N)
        return self.conv(nine.reshape(batch, -1, height, width))

    def _attend(self, qkv: Tensor) -> Tensor:
        """(B, 3C, H, W) → (B, C, N)."""
        query, key, value = (split_axis(part.flatten(2), 1, (self.heads, -1)) for part in qkv.chunk(3, 1))
        with full_precision(qkv):
            q, k = (F.normalize(upcast(part), dim=3) for part in (query, key))
            weights = (q @ k.transpose(2, 3) * upcast(self.temperature)).softmax(3)
        return (weights.to(value.dtype) @ value).flatten(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Fuse attention and convolution of x (B, C, H, W)."""
        qkv = self.local(self.qkv(x))
        attended = self.out(split_axis(self._attend(qkv), 2, x.shape[2:]))
        return keep_format(attended + self._convolve(qkv), x)
