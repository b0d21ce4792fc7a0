"""MSDA: multi-scale dilated attention."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from attention.layers.checks import largest_divisor, odd, positive
from attention.layers.initial_values import small_normal
from attention.layers.tensor_ops import keep_format, neighbours, split_axis, upcast
from attention.registry import ATTENTION


@ATTENTION.register("MSDA", "MultiDilatelocalAttention", "DilateFormer")
class MSDA(nn.Module):
    """Let every position attend to the k × k positions around it, spaced differently for each group of heads.

    oᵢ = Σⱼ softmaxⱼ(qᵢᵀkⱼ / √d) vⱼ over the window of dilation r around i;  y = W_o[o of all heads]

    Outside the map keys and values are 0 and take part, as in the authors' code.

    Args:
        channels: C of input and output, ≥ 1.
        heads: wanted number of heads; the largest divisor of C that does not exceed it is used.
        kernel_size: k, odd.
        dilations: r of each group of heads. The groups are equal where their number divides that of the heads, as in
            the authors' networks; otherwise the first ones have one head more.
        qkv_bias: whether the map to q, k and v has a bias.

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format.

    Raises:
        ValueError: if kernel_size is even, dilations empty, or an argument out of range.

    Source:
        Jiao et al., DilateFormer, TMM 2023, arXiv:2302.01791, §III-B; authors' code JIAOJIAYUASD/dilateformer
        models/dilateformer.py (MultiDilatelocalAttention, initial values as there). Differs: any number of heads;
        shifted views where theirs unfolds (the same function).
    """

    def __init__(
        self,
        channels: int,
        heads: int = 8,
        *,
        kernel_size: int = 3,
        dilations: Sequence[int] = (1, 2, 3),
        qkv_bias: bool = False,
    ) -> None:
        super().__init__()
        positive(channels=channels, heads=heads)
        odd(kernel_size=kernel_size)
        if isinstance(dilations, int) or not list(dilations):
            raise ValueError(f"dilations={dilations!r}, expected a list such as [1, 2, 3]")
        for dilation in dilations:
            positive(dilations=dilation)
        self.heads = largest_divisor(channels, heads, "heads")
        self.kernel_size = kernel_size
        self.width = channels // self.heads
        least, more = divmod(self.heads, len(dilations))
        groups = [(dilation, least + (place < more)) for place, dilation in enumerate(dilations)]
        self.groups = [(dilation, count) for dilation, count in groups if count]
        self.qkv = nn.Conv2d(channels, 3 * channels, 1, bias=qkv_bias)
        self.out = nn.Conv2d(channels, channels, 1)
        small_normal(self.out)

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, dilation: int) -> Tensor:
        """Attend within windows; all (B, heads, d, H, W)."""
        keys = neighbours(key, self.kernel_size, dilation)
        scaled = upcast(query) * self.width**-0.5  # a sum of d products may leave the range of half precision
        logits = torch.stack([(scaled * shifted).sum(2) for shifted in keys], 2)  # (B, heads, k², H, W)
        weights = logits.softmax(2).to(value.dtype)
        out = torch.zeros_like(value)
        for place, shifted in enumerate(neighbours(value, self.kernel_size, dilation)):
            out = out + weights[:, :, place].unsqueeze(2) * shifted
        return out.flatten(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Attend around every position of x (B, C, H, W)."""
        parts = [split_axis(part, 1, (self.heads, -1)) for part in self.qkv(x).chunk(3, 1)]
        outputs, start = [], 0
        for dilation, count in self.groups:
            query, key, value = (part[:, start : start + count] for part in parts)
            outputs.append(self._attend(query, key, value, dilation))
            start += count
        return keep_format(self.out(torch.cat(outputs, 1)), x)
