"""FcaNet: channel attention in the frequency domain."""

import math

import torch
from torch import Tensor, nn

from attention.layers.checks import largest_divisor, positive, reduced_channels
from attention.layers.conv_norm import zero_init
from attention.layers.gates import make_gate
from attention.layers.gating import gate_channels
from attention.layers.tensor_ops import full_precision, pooling_matrix, split_axis, upcast
from attention.registry import ATTENTION

# The authors' ranking of the frequencies (u along the height, v along the width) of a 7 × 7 transform, best first.
TOP_U = (0, 0, 6, 0, 0, 1, 1, 4, 5, 1, 3, 0, 0, 0, 3, 2)
TOP_V = (0, 1, 0, 5, 2, 0, 2, 0, 0, 6, 0, 4, 6, 3, 5, 2)


def _waves(frequencies: Tensor, size: int, like: Tensor) -> Tensor:
    """Return rows of the orthonormal type 2 cosine transform, (frequencies, size), of the dtype of `like`."""
    at = torch.arange(size, device=like.device).to(like.dtype) + 0.5
    angles = frequencies.to(like.dtype).unsqueeze(1) * at * (math.pi / size)
    energy = (frequencies > 0).to(like.dtype) + 1  # 1 for the constant, 2 for a wave
    return angles.cos() * (energy / size).sqrt().unsqueeze(1)


@ATTENTION.register("FcaNet", "FCA", "MultiSpectral")
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
        Qin et al., FcaNet, ICCV 2021, arXiv:2012.11879, §3.3 and the ranking "top16"; authors' code cfzd/FcaNet
        model/layer.py. Differs: groups adapt to C; the waves are computed in float64.
    """

    of_rows: Tensor
    of_columns: Tensor

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
        hidden = reduced_channels(channels, reduction, min_hidden)
        groups = largest_divisor(channels, frequencies)
        self.size = size
        step = size // 7  # the ranking is of a 7 × 7 transform
        self.register_buffer("of_rows", step * torch.tensor(TOP_U[:groups]), persistent=False)
        self.register_buffer("of_columns", step * torch.tensor(TOP_V[:groups]), persistent=False)
        self.fc1 = nn.Linear(channels, hidden, bias=False)
        self.act = nn.ReLU(inplace=True)
        self.fc2 = nn.Linear(hidden, channels, bias=False)
        self.gate = make_gate(gate)
        self.starts_at_identity = gate != "sigmoid"
        if self.starts_at_identity:
            zero_init(self.fc2)

    def forward(self, x: Tensor) -> Tensor:
        """Gate the channels of x (B, C, H, W)."""
        # Averaging to the grid and the wave are one weight per row and column of the map.
        wide = upcast(x[:0])  # only for its dtype and device
        with full_precision(x):
            rows = _waves(self.of_rows, self.size, wide) @ pooling_matrix(x.shape[2], self.size, wide)  # (groups, H)
            columns = _waves(self.of_columns, self.size, wide) @ pooling_matrix(x.shape[3], self.size, wide)
        waves = (rows.unsqueeze(2) * columns.unsqueeze(1)).to(x.dtype)  # (groups, H, W)
        grouped = split_axis(x.flatten(2), 1, (waves.shape[0], -1))  # (B, groups, c, H·W)
        pooled = (grouped @ waves.flatten(1)[None, :, :, None]).flatten(1)
        return gate_channels(x, self.gate(self.fc2(self.act(self.fc1(pooled)))))
