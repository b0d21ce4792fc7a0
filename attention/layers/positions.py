"""Learned tables of positions that fit maps of any size."""

from torch import Tensor

from attention.layers.tensor_ops import resize_matrix


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
