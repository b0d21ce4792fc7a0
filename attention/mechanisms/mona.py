"""Mona: multi-cognitive visual adapter."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attention.layers.checks import positive
from attention.layers.tensor_ops import keep_format, upcast
from attention.registry import ATTENTION


@ATTENTION.register("Mona")
class Mona(nn.Module):
    """Add what a narrow bottleneck of three depthwise kernels makes of the map.

    z = W₁(γ₁ LN(x) + γ₂ x);  u = z + (dw₃ z + dw₅ z + dw₇ z) / 3;  y = x + W₂ drop(GELU(u + P u))

    Args:
        channels: C of input and output, ≥ 1.
        hidden: width of the bottleneck.
        dropout: share of the bottleneck that is dropped in training.

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format.

    Raises:
        ValueError: if dropout is not within 0 … 1 or an argument is out of range.

    Source:
        Yin et al., 5% > 100%: Breaking Performance Shackles of Full Fine-Tuning on Visual Recognition Tasks, CVPR 2025,
        arXiv:2408.08345, §3.2; authors' code Leiyi-Hu/mona
        Swin-Transformer-Object-Detection/mmdet/models/backbones/swin_transformer_mona.py. Differs: nothing. There
        everything but these adapters is frozen.
    """

    def __init__(self, channels: int, hidden: int = 64, *, dropout: float = 0.1) -> None:
        super().__init__()
        positive(channels=channels, hidden=hidden)
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout={dropout!r}, expected a number from 0 to below 1")
        self.norm = nn.LayerNorm(channels)
        self.normed = nn.Parameter(torch.full((channels,), 1e-6))
        self.raw = nn.Parameter(torch.ones(channels))
        self.down = nn.Linear(channels, hidden)
        self.local = nn.ModuleList(
            nn.Conv2d(hidden, hidden, size, padding=size // 2, groups=hidden) for size in (3, 5, 7)
        )
        self.project = nn.Conv2d(hidden, hidden, 1)
        self.dropout = nn.Dropout(dropout)
        self.up = nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Adapt x (B, C, H, W)."""
        last = x.permute(0, 2, 3, 1)
        scaled = upcast(self.norm(last)) * upcast(self.normed) + upcast(last) * upcast(self.raw)
        z = self.down(scaled.to(x.dtype)).permute(0, 3, 1, 2).contiguous()
        u = z + sum(conv(z) for conv in self.local) / 3
        adapted = self.dropout(F.gelu(u + self.project(u)))
        return keep_format(x + self.up(adapted.permute(0, 2, 3, 1)).permute(0, 3, 1, 2).to(x.dtype), x)
