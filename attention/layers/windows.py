"""Cut a map into windows of one size and put them together again."""

import torch.nn.functional as F
from torch import Tensor

from attention.layers.tensor_ops import exporting


def _number(size: int, window: int) -> int:
    """Return the number of windows along an axis; no negative number, which exporters divide otherwise than Python."""
    return (size + window - 1) // window


def pad_to_windows(x: Tensor, window: int) -> Tensor:
    """Pad a map with zeros below and to the right until windows fill it.

    Args:
        x: (B, C, H, W).
        window: side of a window.

    Returns:
        (B, C, H′, W′), both multiples of window.
    """
    below, right = (_number(size, window) * window - size for size in x.shape[2:])
    # While exporting always: whether there is anything to pad depends on the size of the map.
    return F.pad(x, (0, right, 0, below)) if exporting() or below or right else x


def to_windows(x: Tensor, window: int, *, spread: bool = False) -> Tensor:
    """Cut a map into square windows.

    Args:
        x: (B, C, H, W), both multiples of window.
        window: side w of a window.
        spread: whether a window holds positions as far apart as possible, every H/w-th row and W/w-th column, instead
            of neighbours.

    Returns:
        (B · windows, C, w, w).
    """
    batch, channels, height, width = x.shape
    rows, columns = height // window, width // window
    if spread:
        cells = x.reshape(batch, channels, window, rows, window, columns).permute(0, 3, 5, 1, 2, 4)
    else:
        cells = x.reshape(batch, channels, rows, window, columns, window).permute(0, 2, 4, 1, 3, 5)
    return cells.reshape(-1, channels, window, window)


def from_windows(windows: Tensor, x: Tensor, *, spread: bool = False) -> Tensor:
    """Undo `to_windows`, and the padding.

    Args:
        windows: (B · windows, C, w, w).
        x: the map before padding, for its size.
        spread: as it was cut.

    Returns:
        (B, C, H, W).
    """
    window, channels = windows.shape[3], windows.shape[1]
    rows, columns = (_number(size, window) for size in x.shape[2:])
    cells = windows.reshape(x.shape[0], rows, columns, channels, window, window)
    order = (0, 3, 4, 1, 5, 2) if spread else (0, 3, 1, 4, 2, 5)
    whole = cells.permute(order).reshape(x.shape[0], channels, rows * window, columns * window)
    return whole[..., : x.shape[2], : x.shape[3]]
