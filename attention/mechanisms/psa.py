"""PSA: partial self-attention of YOLOv10."""

import torch
from torch import Tensor, nn

from attention.layers.checks import largest_divisor, positive
from attention.layers.conv_norm import ConvNorm
from attention.layers.tensor_ops import dot_product_attention, from_tokens, keep_format, split_axis
from attention.registry import ATTENTION


def _conv(c_in: int, c_out: int, kernel: int = 1, *, groups: int = 1, act: bool = True) -> ConvNorm:
    """Build a convolution with the normalisation and the activation of YOLO."""
    return ConvNorm(c_in, c_out, kernel, groups=groups, act=nn.SiLU() if act else None, eps=1e-3, momentum=0.03)


class PositionedAttention(nn.Module):
    """Multi-head self-attention with narrow queries and keys, and a depthwise positional term of the values.

    Args:
        channels: of the map.
        heads: wanted number of heads; the largest divisor of channels that does not exceed it is used.
        key_ratio: width of queries and keys over that of the values.

    Shape:
        (B, C, H, W) → the same.
    """

    def __init__(self, channels: int, heads: int, key_ratio: float) -> None:
        super().__init__()
        self.heads = largest_divisor(channels, heads, "heads")
        self.width = channels // self.heads
        self.key_width = max(int(self.width * key_ratio), 1)
        self.qkv = _conv(channels, channels + 2 * self.key_width * self.heads, act=False)
        self.proj = _conv(channels, channels, act=False)
        self.pe = _conv(channels, channels, 3, groups=channels, act=False)

    def forward(self, x: Tensor) -> Tensor:
        """Attend to all positions."""
        parts = split_axis(self.qkv(x).flatten(2), 1, (self.heads, -1))  # (B, heads, 2 d_k + d, N)
        query, key, value = parts.split((self.key_width, self.key_width, self.width), 2)
        q, k, v = (part.transpose(2, 3).contiguous() for part in (query, key, value))
        out = from_tokens(dot_product_attention(q, k, v, self.key_width**-0.5, wider=self.key_width - self.width), x)
        return self.proj(out + self.pe(split_axis(value.flatten(1, 2), 2, x.shape[2:])))


@ATTENTION.register("PSA")
class PSA(nn.Module):
    """Let half of the channels attend to all positions, and join them with the other half.

    [a; b] = W₁ x;  b′ = b + W_p(softmax(qᵀk / √d_k) v + dw₃(v));  b″ = b′ + F₂ F₁ b′;  y = W₂[a; b″]

    Every W, F and dw is a convolution with batch normalisation; W₁, W₂ and F₁ are followed by SiLU.

    Args:
        channels: C of input and output, ≥ 1.
        expansion: width of each half over C.
        key_ratio: width of queries and keys over that of a head's values.
        head_width: wanted channels per head.

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format.

    Raises:
        ValueError: if an argument is out of range.

    Source:
        Wang et al., YOLOv10, NeurIPS 2024, arXiv:2405.14458, §3.2; authors' code THU-MIG/yolov10
        ultralytics/nn/modules/block.py (PSA, whose state dict this takes). Differs: any width; the number of heads is
        the largest divisor.
    """

    def __init__(self, channels: int, expansion: float = 0.5, *, key_ratio: float = 0.5, head_width: int = 64) -> None:
        super().__init__()
        positive(channels=channels, head_width=head_width)
        if not (expansion > 0 and key_ratio > 0):
            raise ValueError(f"expansion={expansion!r}, key_ratio={key_ratio!r}, expected positive numbers")
        self.part = max(int(channels * expansion), 1)
        self.cv1 = _conv(channels, 2 * self.part)
        self.cv2 = _conv(2 * self.part, channels)
        self.attn = PositionedAttention(self.part, max(self.part // head_width, 1), key_ratio)
        self.ffn = nn.Sequential(_conv(self.part, 2 * self.part), _conv(2 * self.part, self.part, act=False))

    def forward(self, x: Tensor) -> Tensor:
        """Attend in half of x (B, C, H, W)."""
        kept, moved = self.cv1(x).chunk(2, 1)
        moved = moved + self.attn(moved)
        moved = moved + self.ffn(moved)
        return keep_format(self.cv2(torch.cat((kept, moved), 1)), x)
