"""ExternalAttention: attention to a small memory that all images share."""

import torch
from torch import Tensor, nn

from attention.layers.checks import positive
from attention.layers.conv_norm import ConvNorm
from attention.layers.initial_values import by_fan_out
from attention.layers.tensor_ops import split_axis, upcast
from attention.registry import ATTENTION


@ATTENTION.register("ExternalAttention", "EANet")
class ExternalAttention(nn.Module):
    """Describe each position by entries of a learned memory; the cost is linear in the number of positions.

    f = W₁ x;  a = softmax over positions of M_k f, then divided by its sum over the S entries;  y = δ(x + BN(W₂ M_v a))

    Args:
        channels: C of input and output, ≥ 1.
        entries: S, size of the memory.
        relu: whether the result passes δ, as in the authors' network. Without it γ of BN starts at 0, and so the whole
            as the identity.

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format. The two normalisations are float32 at
        least.

    Raises:
        ValueError: if an argument is out of range.

    Source:
        Guo et al., Beyond Self-attention: External Attention, TPAMI 2022, arXiv:2105.02358, §3.2; authors' code
        MenghaoGuo/EANet model_torch.py. Initial values as theirs, M_v the transpose of M_k.
        Differs: nothing.
    """

    def __init__(self, channels: int, entries: int = 64, *, relu: bool = True) -> None:
        super().__init__()
        positive(channels=channels, entries=entries)
        self.embed = nn.Conv2d(channels, channels, 1)
        self.key = nn.Conv1d(channels, entries, 1, bias=False)
        self.value = nn.Conv1d(entries, channels, 1, bias=False)
        self.out = ConvNorm(channels, channels)
        self.act = nn.ReLU(inplace=True) if relu else nn.Identity()
        self.starts_at_identity = not relu
        by_fan_out(self.out.conv)
        for layer in (self.embed, self.key):  # theirs draw M_k and M_v in the same memory, M_v last
            nn.init.normal_(layer.weight, std=(2 / channels) ** 0.5)
        with torch.no_grad():
            self.value.weight.copy_(self.key.weight.transpose(0, 1))
        if not relu:
            nn.init.zeros_(self.out.bn.weight)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """Describe the positions of x (B, C, H, W)."""
        weights = upcast(self.key(self.embed(x).flatten(2))).softmax(2)  # (B, S, N)
        weights = weights / (weights.sum(1, keepdim=True) + 1e-9)
        described = split_axis(self.value(weights.to(self.value.weight.dtype)), 2, x.shape[2:])
        return self.act(x + self.out(described).to(x.dtype))
