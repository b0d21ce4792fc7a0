"""CascadedGroupAttention: heads that hand their output on."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from attention.layers.checks import largest_divisor, odd, positive
from attention.layers.conv_norm import ConvNorm
from attention.layers.tensor_ops import dot_product_attention, keep_format
from attention.layers.windows import from_windows, pad_to_windows, to_windows
from attention.registry import ATTENTION


@ATTENTION.register("CascadedGroupAttention", "CGA")
class CascadedGroupAttention(nn.Module):
    """Give every head a part of the channels, and add to it what the head before it found.

    zᵢ = xᵢ + oᵢ₋₁;  q, k, v = BN(Wᵢ zᵢ), q = BN(dw(q));  oᵢ = softmax(qᵀk / √d + b) v;  y = x + BN(W δ([o₁; …; o_h]))

    All within windows of neighbouring positions; b is learned for every |Δrow|, |Δcolumn|. Where windows do not fill
    the map, zeros are appended and take part, as in the authors' code.

    Args:
        channels: C of input and output, ≥ 1.
        heads: wanted number of heads h; the largest divisor of C that does not exceed it is used.
        key_width: d of queries and keys; the values have C / h.
        kernels: odd sizes of the depthwise convolutions of the queries, one number or one for each head; the last one
            holds for heads that have none.
        window: side of a window.

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format.

    Raises:
        ValueError: if a kernel is even or an argument is out of range.

    Source:
        Liu et al., EfficientViT: Memory Efficient Vision Transformer with Cascaded Group Attention, CVPR 2023,
        arXiv:2305.07027, §3.2 (another paper of 2023, by Cai et al., bears the name EfficientViT too); authors' code
        microsoft/Cream EfficientViT/classification/model/efficientvit.py, with the shortcut of its block. Starts at
        identity, as theirs: γ of the last normalisation is 0. Differs: any width; a map smaller than a window is padded
        like any other, where theirs uses a smaller window.
    """

    starts_at_identity = True
    pairs: Tensor

    def __init__(
        self,
        channels: int,
        heads: int = 4,
        *,
        key_width: int = 16,
        kernels: int | Sequence[int] = 5,
        window: int = 7,
    ) -> None:
        super().__init__()
        positive(channels=channels, heads=heads, key_width=key_width, window=window)
        sizes = [kernels] if isinstance(kernels, int) else list(kernels)
        if not sizes:
            raise ValueError(f"kernels={kernels!r}, expected an odd size or a list of them")
        for size in sizes:
            odd(kernels=size)
        self.heads = largest_divisor(channels, heads, "heads")
        self.key_width = key_width
        self.scale = key_width**-0.5
        self.window = window
        self.width = width = channels // self.heads
        sizes += sizes[-1:] * (self.heads - len(sizes))
        self.qkv = nn.ModuleList(ConvNorm(width, 2 * key_width + width) for _ in range(self.heads))
        self.local = nn.ModuleList(
            ConvNorm(key_width, key_width, sizes[head], groups=key_width) for head in range(self.heads)
        )
        self.act = nn.ReLU()
        self.out = ConvNorm(channels, channels)
        nn.init.zeros_(self.out.bn.weight)  # type: ignore[arg-type]
        self.bias = nn.Parameter(torch.zeros(self.heads, window * window))
        at = torch.arange(window)
        apart = (at[:, None] - at[None]).abs()  # along one axis
        pairs = apart[:, None, :, None] * window + apart[None, :, None, :]
        self.register_buffer("pairs", pairs.reshape(window**2, window**2), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Attend within the windows of x (B, C, H, W)."""
        cut = to_windows(pad_to_windows(x, self.window), self.window)
        bias = self.bias[:, self.pairs]  # (heads, w², w²)
        outputs: list[Tensor] = []
        for head, part in enumerate(cut.chunk(self.heads, 1)):
            given = part + outputs[-1] if outputs else part
            query, key, value = self.qkv[head](given).split((self.key_width, self.key_width, self.width), 1)
            q, k, v = (
                one.flatten(2).transpose(1, 2).unsqueeze(1).contiguous()
                for one in (self.local[head](query), key, value)
            )
            out = dot_product_attention(q, k, v, self.scale, bias[head].to(q.dtype), wider=self.key_width - self.width)
            outputs.append(out.squeeze(1).transpose(1, 2).reshape(part.shape))
        joined = self.out(self.act(torch.cat(outputs, 1)))
        return keep_format(x + from_windows(joined, x).to(x.dtype), x)
