"""EfficientMultiScale: the attention called EMA, by a name that is not that of the exponential moving average."""

import torch
from torch import Tensor, nn

from attention.layers.checks import largest_divisor
from attention.layers.conv_norm import zero_init
from attention.layers.gates import make_gate
from attention.layers.gating import times
from attention.layers.pooling import average
from attention.layers.tensor_ops import group_norm, keep_format, split_axis, upcast
from attention.registry import ATTENTION


@ATTENTION.register("EfficientMultiScale", "EMA", "EMAttention")
class EfficientMultiScale(nn.Module):
    """Let a strip branch and a 3 × 3 branch of each channel group gate each other's positions.

    Per group x_g of c channels: [h; w] = W₁[mean_W x_g; mean_H x_g];  x₁ = IN(x_g ⊙ σ(h) ⊙ σ(w));  x₂ = conv₃(x_g);
    m = softmax(GAP x₁)ᵀ x₂ + softmax(GAP x₂)ᵀ x₁;  y = x_g ⊙ σ(m)

    GAP x₁ is the shift of the instance norm IN, so it is not computed.

    Args:
        channels: C of input and output, ≥ 1.
        groups: wanted number of groups; the largest divisor of C that does not exceed it is used (32 as the authors;
            YOLO ports use 8). The weights are shared by the groups.
        gate: sigmoid, 2sigmoid or 1+tanh, for the last gate; the last two start as the identity.

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format.

    Raises:
        ValueError: if an argument is out of range.

    Source:
        Ouyang et al., Efficient Multi-Scale Attention Module with Cross-Spatial Learning, ICASSP 2023,
        arXiv:2305.13563; authors' code YOLOonMe/EMA-attention-module. Differs: groups adapt to C.
    """

    def __init__(self, channels: int, groups: int = 32, *, gate: str = "sigmoid") -> None:
        super().__init__()
        self.groups = largest_divisor(channels, groups)
        width = channels // self.groups
        self.strips = nn.Conv1d(width, width, 1)
        self.local = nn.Conv2d(width, width, 3, padding=1)
        self.norm = nn.GroupNorm(width, width)
        self.gate = make_gate(gate)
        self.starts_at_identity = gate != "sigmoid"
        if self.starts_at_identity:
            zero_init(self.local)
            zero_init(self.norm)

    def forward(self, x: Tensor) -> Tensor:
        """Gate x (B, C, H, W)."""
        height, width = x.shape[2:]
        maps = split_axis(x, 1, (self.groups, -1)).flatten(0, 1)  # (B·g, c, H, W)
        strips = torch.sigmoid(self.strips(torch.cat((average(maps, (3,)), average(maps, (2,))), 2)))
        gated = times(maps * strips[..., :height].unsqueeze(3).to(x.dtype), strips[..., height:].unsqueeze(2))
        first = group_norm(self.norm, gated).flatten(2)
        second = self.local(maps).flatten(2)  # (B·g, c, H·W)
        of_first = self.norm.bias.softmax(0)[None, None]  # (1, 1, c)
        of_second = upcast(second.mean(2, keepdim=True)).softmax(1).transpose(1, 2)
        mask = of_first.to(second.dtype) @ second + of_second.to(first.dtype) @ first  # (B·g, 1, H·W)
        out = maps * split_axis(self.gate(mask), 2, (height, width)).to(x.dtype)
        return keep_format(out.reshape(x.shape), x)
