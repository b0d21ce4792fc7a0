"""HardAttention: gates that are open or shut."""

import torch
from torch import Tensor, nn

from attention.layers.checks import one_of, reduced_channels
from attention.layers.gating import gate_channels
from attention.layers.pooling import pool_mean
from attention.layers.tensor_ops import upcast
from attention.registry import ATTENTION


@ATTENTION.register("HardAttention")
class HardAttention(nn.Module):
    """Keep or drop whole channels or positions, decided per image, and train the decision all the same.

    p = σ(l), l = MLP(GAP x) per channel or wᵀx + b per position;  y = x ⊙ h, h ∈ {0, 1}

    - straight-through: h = [p > ½]; the gradient passes to p as if h were p.
    - gumbel: in training h = [s > ½], s = σ((l + log U − log(1 − U)) / τ), U uniform, gradient through s; in
      evaluation the noise is off and h = [p > ½].

    A mask does not save arithmetic, and without a loss on the rate of open gates it may collapse to all or none.

    Args:
        channels: C of input and output, ≥ 1.
        axis: channel or spatial, what a gate opens.
        estimator: straight-through or gumbel.
        reduction: of the MLP for axis channel; its hidden width is max(C // reduction, min_hidden).
        min_hidden: smallest hidden width.
        temperature: τ of gumbel; lower is sharper and noisier. The attribute may be changed while training.
        open_bias: l at the start, for every gate; above 0 all are open.

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format.

    Raises:
        ValueError: if axis or estimator is unknown or an argument is out of range.

    Source:
        Xu et al., Show, Attend and Tell, ICML 2015, arXiv:1502.03044, §4.1 (hard attention); Bengio et al., 2013,
        arXiv:1308.3432, §4 (straight-through); Maddison et al., ICLR 2017, arXiv:1611.00712, and Jang et al., ICLR
        2017, arXiv:1611.01144 (gumbel, in its binary form). Starts at identity with straight-through and open_bias > 0.
    """

    def __init__(
        self,
        channels: int,
        axis: str = "channel",
        estimator: str = "straight-through",
        *,
        reduction: float = 16,
        min_hidden: int = 4,
        temperature: float = 1.0,
        open_bias: float = 3.0,
    ) -> None:
        super().__init__()
        one_of(axis, ("channel", "spatial"), "axis")
        one_of(estimator, ("straight-through", "gumbel"), "estimator")
        if not temperature > 0:
            raise ValueError(f"temperature={temperature}, expected a positive number")
        hidden = reduced_channels(channels, reduction, min_hidden)
        self.axis = axis
        self.estimator = estimator
        self.temperature = temperature
        last: nn.Linear | nn.Conv2d
        if axis == "channel":
            last = nn.Linear(hidden, channels)
            self.logits = nn.Sequential(nn.Linear(channels, hidden), nn.ReLU(inplace=True), last)
        else:
            last = nn.Conv2d(channels, 1, 1)
            self.logits = nn.Sequential(last)
        nn.init.zeros_(last.weight)
        nn.init.constant_(last.bias, open_bias)  # type: ignore[arg-type]
        self.starts_at_identity = estimator == "straight-through" and open_bias > 0

    def forward(self, x: Tensor) -> Tensor:
        """Open and shut the gates on x (B, C, H, W)."""
        logits = self.logits(pool_mean(x)) if self.axis == "channel" else self.logits(x)
        logits = upcast(logits)
        if self.training and self.estimator == "gumbel":
            uniform = torch.rand_like(logits).clamp(1e-6, 1 - 1e-6)
            logits = (logits + uniform.log() - (-uniform).log1p()) / self.temperature
        gate = (logits > 0).to(logits.dtype)
        if self.training:
            soft = torch.sigmoid(logits)
            gate = gate + (soft - soft.detach())  # the difference is exactly 0: only its gradient counts
        return gate_channels(x, gate) if self.axis == "channel" else x * gate.to(x.dtype)
