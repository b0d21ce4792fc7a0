"""Positions in maps of any size: learned tables, and distances to pooled cells."""

import torch
from torch import Tensor

from attention.layers.tensor_ops import cell_bounds, exporting, resize_matrix


def resized_table(table: Tensor, x: Tensor) -> Tensor:
    """Resize a table linearly to the size of a map; it stays as it is where the map has its size.

    Args:
        table: (C, s, s).
        x: a map (…, H, W).

    Returns:
        (C, H, W).
    """
    height, width = x.shape[2], x.shape[3]
    rows, columns = (resize_matrix(size, table.shape[1], table) for size in (height, width))
    # A product of two matrices at a time: OpenVINO loses the sizes of others.
    across = (table.flatten(0, 1) @ columns.t()).reshape(*table.shape[:2], width)
    down = across.transpose(1, 2).flatten(0, 1) @ rows.t()
    return down.reshape(table.shape[0], width, height).transpose(1, 2)


def distances_to_cells(size: int, cells: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Return the distances of an axis' positions to the middles of its pooled cells, each distance once.

    Args:
        size: length of the axis.
        cells: number of cells that it is pooled to.
        like: tensor of the wanted dtype and device.

    Returns:
        The distances, position − middle, in rising order (L,), and which of them belongs to which position and cell
        (size, cells).
    """
    start, end = cell_bounds(size, cells, like)
    # Twice the distance is a whole number; where all cells are equally long, every other one occurs.
    if not exporting() and size % cells == 0:
        step, reach = 2, 2 * size - size // cells - 1
    else:
        step, reach = 1, 2 * (size - 1)
    doubled = 2 * torch.arange(size, device=like.device).unsqueeze(1) - (start + end - 1)
    table = (torch.arange(2 * reach // step + 1, device=like.device) * step - reach).to(like.dtype) / 2
    return table, (doubled + reach) // step
