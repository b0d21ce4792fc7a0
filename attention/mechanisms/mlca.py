"""MLCA: mixed local channel attention."""

import torch
from torch import Tensor, nn

from attention.layers.checks import adaptive_kernel_size, odd, positive
from attention.layers.pooling import pool_mean
from attention.layers.tensor_ops import pooling_matrix, split_axis
from attention.registry import ATTENTION


@ATTENTION.register("MLCA")
class MLCA(nn.Module):
    """ECA on the whole map and on a 5 × 5 grid of cells, mixed.

    l = 5 × 5 cell means, g = mean of the cells;  y = x ⊙ up((1 − λ) σ(conv1d(g)) + λ σ(conv1d(l)))

    The local convolution runs over all channels of a cell, then of the next one; up is adaptive pooling back to
    the size.

    Args:
        channels: C of input and output, ≥ 1.
        cells: cells along each axis.
        local_weight: λ, in [0, 1].
        kernel_size: of both convolutions, odd; None follows ECA's rule.

    Shape:
        input (B, C, H, W) float; output the same shape, dtype and memory format. Pooling is written as products with
        small matrices, which export for any size.

    Raises:
        ValueError: if an argument is out of range.

    Source:
        Wan et al., Mixed local channel attention for object detection, EAAI 2023; authors' code wandahangFY/MLCA
        MLCA.py. Differs: never a kernel of 1.
    """

    def __init__(
        self, channels: int, cells: int = 5, *, local_weight: float = 0.5, kernel_size: int | None = None
    ) -> None:
        super().__init__()
        positive(channels=channels, cells=cells)
        if not 0 <= local_weight <= 1:
            raise ValueError(f"local_weight={local_weight}, expected a number from 0 to 1")
        size = adaptive_kernel_size(channels) if kernel_size is None else kernel_size
        odd(kernel_size=size)
        self.cells = cells
        self.local_weight = local_weight
        self.conv = nn.Conv1d(1, 1, size, padding=size // 2, bias=False)
        self.conv_local = nn.Conv1d(1, 1, size, padding=size // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Gate cells and channels of x (B, C, H, W)."""
        height, width = x.shape[2:]
        down_rows, down_columns = pooling_matrix(height, self.cells, x), pooling_matrix(width, self.cells, x)
        local = down_rows @ (x @ down_columns.t())  # (B, C, cells, cells)
        whole = self.conv(pool_mean(local).unsqueeze(1)).squeeze(1)  # (B, C)
        sequence = local.flatten(2).transpose(1, 2).flatten(1).unsqueeze(1)  # (B, 1, cells² · C), cell by cell
        local = split_axis(self.conv_local(sequence), 2, (self.cells**2, -1)).squeeze(1).transpose(1, 2)
        gates = torch.sigmoid(whole).unsqueeze(2) * (1 - self.local_weight) + torch.sigmoid(local) * self.local_weight
        gates = split_axis(gates, 2, (self.cells, self.cells)).to(x.dtype)
        up_rows, up_columns = pooling_matrix(self.cells, height, x), pooling_matrix(self.cells, width, x)
        return x * (up_rows @ gates @ up_columns.t()).to(x.dtype)
