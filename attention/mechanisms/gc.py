"""GC: global context."""

import torch
from torch import Tensor, nn

from attention.layers.checks import one_of, reduced_channels
from attention.layers.conv_norm import CONVS, zero_init
from attention.layers.gates import make_gate
from attention.layers.gating import expand_as_map, gate_channels
from attention.layers.pooling import pool_mean
from attention.layers.tensor_ops import upcast
from attention.registry import ATTENTION


@ATTENTION.register("GC", "GlobalContext", "GCNet", "ContextBlock")
class GC(nn.Module):
    """Pool the whole map into one vector by learned attention, transform it, and add it to every position.

    c = Σⱼ softmaxⱼ(w_kᵀxⱼ + b) xⱼ;  t = W₂ δ(LN(W₁ c + b₁)) + b₂;  y = x + t (add) and/or x ⊙ σ(t′) (mul)

    Args:
        channels: C of input and output, ≥ 1.
        reduction: r; the hidden width is max(C // r, min_hidden). The authors' best detectors use 4.
        pool: att (learned) or avg (a plain mean).
        fusion: add, mul or both (mul first).
        min_hidden: smallest hidden width (the authors have none).
        gate: of fusion mul: sigmoid, 2sigmoid or 1+tanh; the last two start as the identity.
        dims: number of spatial axes, 1, 2 or 3.

    Shape:
        input (B, C, *spatial) float; output the same shape, dtype and memory format.

    Raises:
        ValueError: if pool or fusion is unknown or an argument is out of range.

    Source:
        Cao et al., GCNet, ICCV Workshops 2019, arXiv:1904.11492, §4; authors' code xvjiarui/GCNet
        mmdet/ops/gcb/context_block.py. Starts at identity with fusion add, as theirs: W₂ and b₂ are 0. Differs:
        min_hidden.
    """

    def __init__(
        self,
        channels: int,
        reduction: float = 16,
        *,
        pool: str = "att",
        fusion: str = "add",
        min_hidden: int = 4,
        gate: str = "sigmoid",
        dims: int = 2,
    ) -> None:
        super().__init__()
        one_of(dims, (1, 2, 3), "dims")
        one_of(pool, ("att", "avg"), "pool")
        one_of(fusion, ("add", "mul", "both"), "fusion")
        hidden = reduced_channels(channels, reduction, min_hidden)
        self.pool = pool
        self.fusion = fusion
        if pool == "att":
            self.mask = CONVS[dims](channels, 1, 1)
            nn.init.kaiming_normal_(self.mask.weight, mode="fan_in", nonlinearity="relu")
        if fusion != "mul":
            self.add = self._transform(channels, hidden)
        if fusion != "add":
            self.mul = self._transform(channels, hidden)
        self.gate = make_gate(gate)
        self.starts_at_identity = fusion == "add" or gate != "sigmoid"

    @staticmethod
    def _transform(channels: int, hidden: int) -> nn.Sequential:
        last = nn.Linear(hidden, channels)
        zero_init(last)
        return nn.Sequential(nn.Linear(channels, hidden), nn.LayerNorm(hidden), nn.ReLU(inplace=True), last)

    def _context(self, x: Tensor) -> Tensor:
        """Pool x (B, C, *spatial) to (B, C)."""
        if self.pool == "avg":
            return pool_mean(x)
        weights = upcast(self.mask(x)).flatten(2).softmax(2)  # (B, 1, N)
        return torch.bmm(x.flatten(2), weights.to(x.dtype).transpose(1, 2)).squeeze(2)

    def forward(self, x: Tensor) -> Tensor:
        """Fuse x (B, C, *spatial) with its context."""
        context = self._context(x)
        out = x
        if self.fusion != "add":
            out = gate_channels(x, self.gate(self.mul(context)))
        if self.fusion != "mul":
            out = out + expand_as_map(self.add(context), x)
        return out
