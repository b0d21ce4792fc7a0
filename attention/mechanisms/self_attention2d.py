"""SelfAttention2D: queries, keys and values over the positions of a map."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attention.layers.checks import largest_divisor, one_of, positive
from attention.layers.conv_norm import zero_init
from attention.layers.tensor_ops import dot_product_attention, from_tokens, full_precision, tokens, upcast
from attention.registry import ATTENTION

SIMILARITIES = ("dot", "concat", "perceptron")


@ATTENTION.register("SelfAttention2D", "SelfAttention")
class SelfAttention2D(nn.Module):
    """Compare each position's query with all keys, and add the values in proportion.

    y = x + W_o Σⱼ softmaxⱼ(f(qᵢ, kⱼ)) vⱼ, in several heads, where f is one of

    - dot: qᵢᵀkⱼ / √d;
    - concat: λ(wᵀ[qᵢ; kⱼ]), λ a leaky ReLU of slope 0.2 (without it the query would cancel in the softmax);
    - perceptron: wᵀ tanh(qᵢ + kⱼ).

    Dot never holds the matrix of all pairs; concat holds it, and perceptron holds it C times: for small maps only.

    Args:
        channels: C of input and output, ≥ 1.
        heads: wanted number of heads; the largest divisor of C that does not exceed it is used.
        similarity: dot, concat or perceptron.

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format.

    Raises:
        ValueError: if similarity is unknown or an argument is out of range.

    Source:
        Vaswani et al., Attention Is All You Need, NeurIPS 2017, arXiv:1706.03762, §3.2 (dot); Veličković et al., Graph
        Attention Networks, ICLR 2018, arXiv:1710.10903, eq. 3 (concat); Bahdanau et al., ICLR 2015, arXiv:1409.0473,
        §3.1 (perceptron). Starts at identity: W_o is 0.
    """

    starts_at_identity = True

    def __init__(self, channels: int, heads: int = 4, *, similarity: str = "dot") -> None:
        super().__init__()
        positive(channels=channels, heads=heads)
        one_of(similarity, SIMILARITIES, "similarity")
        self.heads = largest_divisor(channels, heads, "heads")
        self.similarity = similarity
        self.width = width = channels // self.heads
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = nn.Conv2d(channels, channels, 1)
        zero_init(self.out)
        if similarity != "dot":
            rows = 2 if similarity == "concat" else 1
            self.pair = nn.Parameter(torch.randn(rows, self.heads, 1, width) * width**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Add what every position of x (B, C, H, W) gathers."""
        query, key, value = (tokens(part, self.heads) for part in self.qkv(x).chunk(3, 1))
        if self.similarity == "dot":
            gathered = dot_product_attention(query, key, value, self.width**-0.5)
        else:
            with full_precision(x):
                gathered = self._logits(upcast(query), upcast(key)).softmax(-1) @ upcast(value)
        return x + self.out(from_tokens(gathered.to(value.dtype), x)).to(x.dtype)

    def _logits(self, query: Tensor, key: Tensor) -> Tensor:
        """Return the similarities of all pairs, (B, heads, N, N)."""
        pair = upcast(self.pair)
        if self.similarity == "concat":
            of_query, of_key = (query * pair[0]).sum(-1), (key * pair[1]).sum(-1)
            return F.leaky_relu(of_query.unsqueeze(3) + of_key.unsqueeze(2), 0.2)
        return (torch.tanh(query.unsqueeze(3) + key.unsqueeze(2)) * pair[0].unsqueeze(1)).sum(-1)
