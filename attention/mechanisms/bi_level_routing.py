"""BiLevelRouting: attention to the few regions that matter."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attention.layers.checks import largest_divisor, positive
from attention.layers.tensor_ops import dot_product_attention, keep_format, split_axis
from attention.registry import ATTENTION


@ATTENTION.register("BiLevelRouting", "BRA", "BiFormer")
class BiLevelRouting(nn.Module):
    """Cut the map into regions, pick for each the regions most like it, and attend to their positions only.

    A = Q̄ K̄ᵀ of the region means;  each region keeps its top k;  y = W(softmax(s q K_gᵀ) V_g + dw₅(v)), s = C^−½

    The choice itself has no gradient, as in the authors' code.

    Args:
        channels: C of input and output, ≥ 1.
        heads: wanted number of heads; the largest divisor of C that does not exceed it is used.
        regions: wanted regions along each axis. A region is ⌈size / regions⌉ long; the last one may be shorter, and
            then its padding is masked.
        top_k: regions that each region attends to, at most as many as there are.

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format.

    Raises:
        ValueError: if an argument is out of range.

    Source:
        Zhu et al., BiFormer, CVPR 2023, arXiv:2303.08810, §3.2; authors' code rayleizhu/BiFormer ops/bra_nchw.py.
        Differs: padding is masked, and the number of regions never exceeds `regions`.
    """

    def __init__(self, channels: int, heads: int = 8, *, regions: int = 7, top_k: int = 4) -> None:
        super().__init__()
        positive(channels=channels, heads=heads, regions=regions, top_k=top_k)
        self.heads = largest_divisor(channels, heads, "heads")
        self.regions = regions
        self.top_k = top_k
        self.scale = channels**-0.5
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.position = nn.Conv2d(channels, channels, 5, padding=2, groups=channels)
        self.out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Attend within the chosen regions of x (B, C, H, W)."""
        height, width = (int(n) for n in x.shape[2:])  # numbers also while tracing: they decide the regions
        tall, wide = -(-height // self.regions), -(-width // self.regions)  # of a region
        rows, columns = -(-height // tall), -(-width // wide)
        pad = (0, columns * wide - width, 0, rows * tall - height)

        def cut(y: Tensor) -> Tensor:
            """Cut (B, c, H, W) into (B, regions, positions, c)."""
            y = F.pad(y, pad) if pad[1] or pad[3] else y
            y = split_axis(split_axis(y, 3, (columns, wide)), 2, (rows, tall))
            return y.permute(0, 2, 4, 3, 5, 1).flatten(3, 4).flatten(1, 2)

        qkv = self.qkv(x)
        query, key, value = (cut(part) for part in qkv.chunk(3, 1))
        inside = cut(torch.ones_like(x[:1, :1]))  # (1, R, n, 1): 0 in the padding
        routes = self._route(query, key, inside)  # (B, R, k)
        at = torch.arange(x.shape[0], device=x.device)[:, None, None]
        chosen = [part[at, routes].flatten(2, 3) for part in (key, value)]  # (B, R, k·n, C)
        mask = None
        if pad[1] or pad[3]:
            outside = (1 - inside[0, :, :, 0])[routes].flatten(2)  # (B, R, k·n)
            mask = (outside * (torch.finfo(query.dtype).min / 2)).to(query.dtype).flatten(0, 1)[:, None, None]

        def split(y: Tensor) -> Tensor:
            return split_axis(y.flatten(0, 1), 2, (self.heads, -1)).transpose(1, 2).contiguous()

        out = dot_product_attention(
            split(query), split(chosen[0]), split(chosen[1]), self.scale, mask
        )  # (B·R, heads, n, d)
        out = out.transpose(1, 2).flatten(2).reshape(x.shape[0], rows, columns, tall, wide, -1)
        out = out.permute(0, 5, 1, 3, 2, 4).reshape(x.shape[0], -1, rows * tall, columns * wide)[..., :height, :width]
        return keep_format(self.out(out + self.position(qkv.chunk(3, 1)[2])), x)

    def _route(self, query: Tensor, key: Tensor, inside: Tensor) -> Tensor:
        """Return the indices of the chosen regions, (B, R, k); all maps (B, R, n, C), padding 0."""
        count = inside.float().sum(2)
        means = [part.detach().float().mean(2) * (part.shape[2] / count) for part in (query, key)]
        likeness = means[0] @ means[1].transpose(1, 2)
        return likeness.topk(min(self.top_k, likeness.shape[2]), 2).indices
