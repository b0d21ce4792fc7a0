"""FcaNet: channel attention in the frequency domain."""

import math

import torch
from torch import Tensor, nn

from attention.ops import expand_as_map, hidden_width, largest_divisor, make_gate, pooling_matrix, positive, zero_init
from attention.registry import ATTENTION

# The authors' ranking of the frequencies (u along the height, v along the width) of a 7 × 7 transform, best first.
TOP_U = (0, 0, 6, 0, 0, 1, 1, 4, 5, 1, 3, 0, 0, 0, 3, 2)
TOP_V = (0, 1, 0, 5, 2, 0, 2, 0, 0, 6, 0, 4, 6, 3, 5, 2)


def _basis(frequency: int, size: int) -> Tensor:
    """One row of the orthonormal type 2 cosine transform, (size,) float64."""
    at = torch.arange(size, dtype=torch.float64)
    scale = math.sqrt((1 if frequency == 0 else 2) / size)
    return scale * torch.cos(math.pi * frequency * (at + 0.5) / size)


@ATTENTION.register("FcaNet", "FCA")
class FcaNet(nn.Module):
    """Squeeze-and-excitation where groups of channels are pooled by different cosine waves instead of the mean.

    z_c = Σ x_c ⊙ DCT(u_c, v_c) on a size × size grid;  y = x ⊙ σ(W₂ δ(W₁ z))

    Args:
        channels: C of input and output, ≥ 1.
        reduction: r; the hidden width is max(C // r, min_hidden).
        size: grid on which the map is pooled; a map of another size is averaged to it first, so that any size works.
        frequencies: 1 to 16 of the authors' best; C is split into as many groups (the largest divisor of C up to it).
        min_hidden: smallest hidden width (the authors have none).
        gate: sigmoid, 2sigmoid or 1+tanh; the last two start as the identity.

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format.

    Raises:
        ValueError: if an argument is out of range.

    Source:
        Qin et al., FcaNet, ICCV 2021, arXiv:2012.11879, §3.3 and the ranking "top16"; authors' code cfzd/FcaNet model/
        layer.py. Differs: groups adapt to C; the waves are computed in float64.
    """

    rows: Tensor
    columns: Tensor

    def __init__(
        self,
        channels: int,
        reduction: float = 16,
        *,
        size: int = 7,
        frequencies: int = 16,
        min_hidden: int = 4,
        gate: str = "sigmoid",
    ) -> None:
        super().__init__()
        positive(size=size, frequencies=frequencies)
        if frequencies > len(TOP_U) or size < 7:
            raise ValueError(f"size={size}, frequencies={frequencies}, expected at least 7 and at most {len(TOP_U)}")
        hidden = hidden_width(channels, reduction, min_hidden)
        groups = largest_divisor(channels, frequencies)
        self.size = size
        step = size // 7  # the ranking is of a 7 × 7 transform
        rows = torch.stack([_basis(u * step, size) for u in TOP_U[:groups]])
        columns = torch.stack([_basis(v * step, size) for v in TOP_V[:groups]])
        self.register_buffer("rows", rows.to(torch.get_default_dtype()), persistent=False)
        self.register_buffer("columns", columns.to(torch.get_default_dtype()), persistent=False)
        self.fc1 = nn.Linear(channels, hidden, bias=False)
        self.act = nn.ReLU(inplace=True)
        self.fc2 = nn.Linear(hidden, channels, bias=False)
        self.gate = make_gate(gate)
        self.starts_at_identity = gate != "sigmoid"
        if self.starts_at_identity:
            zero_init(self.fc2)

    def forward(self, x: Tensor) -> Tensor:
        """Weigh the channels of x (B, C, H, W)."""
        # Averaging to the grid and the wave are one weight per row and column of the map.
        rows = self.rows @ pooling_matrix(x.shape[2], self.size, self.rows)  # (groups, H)
        columns = self.columns @ pooling_matrix(x.shape[3], self.size, self.columns)  # (groups, W)
        waves = (rows.unsqueeze(2) * columns.unsqueeze(1)).to(x.dtype)  # (groups, H, W)
        pooled = torch.einsum("bgchw,ghw->bgc", x.unflatten(1, (waves.shape[0], -1)), waves).flatten(1)
        return x * expand_as_map(self.gate(self.fc2(self.act(self.fc1(pooled)))), x)
