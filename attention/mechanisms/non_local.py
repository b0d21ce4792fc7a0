"""NonLocal: every position looks at every other."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attention.layers.checks import one_of, reduced_channels
from attention.layers.conv_norm import CONVS, ConvNorm
from attention.layers.tensor_ops import dot_product_attention, exporting, from_tokens, full_precision, tokens, upcast
from attention.registry import ATTENTION

MODES = ("embedded", "gaussian", "dot", "concat")


@ATTENTION.register("NonLocal", "NonLocalBlock", "NL")
class NonLocal(nn.Module):
    """Add to each position a mean over all positions, weighted by similarity.

    y = x + BN(W_z · (1/Zᵢ) Σⱼ f(xᵢ, xⱼ) g(xⱼ)), where f is one of

    - embedded: exp(θᵢᵀφⱼ / √d), Z = Σ f (a softmax);
    - gaussian: exp(xᵢᵀxⱼ), Z = Σ f;
    - dot: θᵢᵀφⱼ, Z = number of keys; computed as θ(φᵀg), so its cost is linear in the number of positions;
    - concat: δ(w_fᵀ[θᵢ; φⱼ]), Z = number of keys.

    The first two never hold the matrix of all pairs in memory; concat does.

    Args:
        channels: C of input and output, ≥ 1.
        mode: embedded, gaussian, dot or concat.
        reduction: the inner width d is max(C // reduction, 1).
        subsample: max-pool x by 2 before φ and g (the time axis of a clip is not pooled), a quarter of the pairs.
        scale: whether embedded logits are divided by √d; a widely copied port leaves it out.
        dims: number of spatial axes, 1, 2 or 3.

    Shape:
        input (B, C, *spatial) float; output the same shape, dtype and memory format.

    Raises:
        ValueError: if mode is unknown or an argument is out of range.

    Source:
        Wang et al., Non-local Neural Networks, CVPR 2018, arXiv:1711.07971, §3; authors' code
        facebookresearch/video-nonlocal-net lib/models/nonlocal_helper.py. Starts at identity, as theirs: γ of the last
        normalisation is 0. Differs: an axis of length 1 is not pooled.
    """

    starts_at_identity = True

    def __init__(
        self,
        channels: int,
        mode: str = "embedded",
        reduction: float = 2,
        *,
        subsample: bool = True,
        scale: bool = True,
        dims: int = 2,
    ) -> None:
        super().__init__()
        one_of(dims, (1, 2, 3), "dims")
        one_of(mode, MODES, "mode")
        hidden = reduced_channels(channels, reduction, 1)
        conv = CONVS[dims]
        self.mode = mode
        self.subsample = subsample
        self.scale = hidden**-0.5 if scale and mode == "embedded" else 1.0
        self.wider = channels - hidden  # of raw x over g, in mode gaussian
        self.g = conv(channels, hidden, 1)
        self.theta = nn.Identity() if mode == "gaussian" else conv(channels, hidden, 1)
        self.phi = nn.Identity() if mode == "gaussian" else conv(channels, hidden, 1)
        self.pair = nn.Linear(2 * hidden, 1, bias=False) if mode == "concat" else nn.Identity()
        self.out = ConvNorm(hidden, channels, dims=dims, bias=True)
        for layer in self.modules():
            if isinstance(layer, (nn.Conv1d, nn.Conv2d, nn.Conv3d)):
                nn.init.normal_(layer.weight, std=0.01)
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        nn.init.zeros_(self.out.bn.weight)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """Add the non-local mean to x (B, C, *spatial)."""
        source = self._pool(x) if self.subsample else x
        query, key, value = tokens(self.theta(x)), tokens(self.phi(source)), tokens(self.g(source))
        if self.mode == "embedded":
            return x + self.out(from_tokens(dot_product_attention(query, key, value, self.scale), x)).to(x.dtype)
        with full_precision(x):  # up to the normalisation: only what comes out of that fits into half precision again
            mean = self._unscaled(upcast(query), upcast(key), upcast(value))
            added = self.out.in_full_precision(from_tokens(mean, x))
        return x + added.to(x.dtype)

    def _unscaled(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """The three modes whose sums may leave the range of half precision; all (B, 1, N, d)."""
        if self.mode == "gaussian":
            return dot_product_attention(query, key, value, 1.0, wider=self.wider)
        if self.mode == "dot":
            return query @ (key.transpose(2, 3) @ value / key.shape[2])
        # Matrices of one column: ONNX Runtime's fusion computes a transposed map times a vector wrongly.
        of_query, of_key = upcast(self.pair.weight).reshape(2, -1, 1)  # type: ignore[arg-type,operator]
        logits = query @ of_query + (key @ of_key).transpose(2, 3)  # (B, 1, N, N_k)
        return torch.relu(logits) @ value / key.shape[2]

    @staticmethod
    def _pool(x: Tensor) -> Tensor:
        """Max-pool by 2 along height and width, or along a sequence."""
        spans = [2 if exporting() or size > 1 else 1 for size in x.shape[2:]]
        if len(spans) == 1:
            return F.max_pool1d(x, spans[0])
        if len(spans) == 2:
            return F.max_pool2d(x, spans)
        return F.max_pool3d(x, [1, *spans[1:]])
