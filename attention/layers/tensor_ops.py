"""Work on maps that several mechanisms share: precision, memory format, pooling, tokens, attention, windows."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attention.older_torch import is_exporting


def upcast(x: Tensor) -> Tensor:
    """Convert to float32 where half precision would overflow or lose the sum; wider types stay.

    Args:
        x: any shape.

    Returns:
        x, in float32 if it was float16 or bfloat16.
    """
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def keep_format(out: Tensor, x: Tensor) -> Tensor:
    """Give a result the dtype and the memory format of the map that it was made from.

    Args:
        out: the result, (B, C, H, W).
        x: the map.

    Returns:
        out, converted where it differs.
    """
    last = x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
    return out.to(x.dtype).contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)


def split_axis(x: Tensor, axis: int, sizes: Sequence[int]) -> Tensor:
    """Split one axis into several, as unflatten does, which the ONNX exporter cannot write before operator set 13.

    Args:
        x: any shape.
        axis: the axis, counted from the front.
        sizes: what it becomes, one of them −1 if need be.

    Returns:
        A view where possible.
    """
    return x.reshape(*x.shape[:axis], *sizes, *x.shape[axis + 1 :])


def shuffle_channels(x: Tensor, groups: int) -> Tensor:
    """Interleave groups of channels: channel j of group i becomes channel j·groups + i.

    Args:
        x: (B, C, H, W), C divisible by groups.
        groups: number of groups.

    Returns:
        The same shape.
    """
    return split_axis(x, 1, (groups, -1)).transpose(1, 2).flatten(1, 2)


def tokens(x: Tensor, heads: int = 1) -> Tensor:
    """Return the positions of a map as a sequence, for scaled_dot_product_attention.

    Args:
        x: (B, C, *spatial).
        heads: the channels are split into this many equal runs.

    Returns:
        (B, heads, N, C / heads), contiguous: the memory-saving kernels need that.
    """
    return split_axis(x.flatten(2), 1, (heads, -1)).transpose(2, 3).contiguous()


def from_tokens(sequence: Tensor, x: Tensor) -> Tensor:
    """Return a map from its positions: the inverse of `tokens`.

    Args:
        sequence: (B, heads, N, d).
        x: a map (B, any, *spatial) with N positions, for its size.

    Returns:
        (B, heads · d, *spatial).
    """
    return split_axis(sequence.transpose(2, 3).flatten(1, 2), 2, x.shape[2:])


def full_precision(x: Tensor) -> AbstractContextManager[object]:
    """Return a context in which autocast is off, for what half precision cannot hold; combine with `upcast`.

    Args:
        x: any tensor, for its device.

    Returns:
        A context manager; one that does nothing where autocast is off anyway.
    """
    if torch.is_autocast_enabled(x.device.type):
        return torch.autocast(x.device.type, enabled=False)
    return nullcontext()


def dot_product_attention(
    query: Tensor, key: Tensor, value: Tensor, scale: float, mask: Tensor | None = None, *, wider: int = 0
) -> Tensor:
    """Compute softmax(scale · q kᵀ + mask) v, without the matrix of all pairs.

    Args:
        query: (B, heads, N, d), contiguous, as the other two.
        key: (B, heads, M, d).
        value: (B, heads, M, e).
        scale: of the logits.
        mask: added to the logits, of a shape that broadcasts to (B, heads, N, M).
        wider: d − e; the narrower side is padded by as much, since the memory-saving kernels want equal widths.

    Returns:
        (B, heads, N, e).
    """
    if torch.onnx.is_in_onnx_export():  # what its exporter makes of the function below, which it knows from set 14 on
        logits = (query * scale) @ key.transpose(2, 3)
        return (logits if mask is None else logits + mask).softmax(3) @ value
    if wider > 0:
        return F.scaled_dot_product_attention(query, key, F.pad(value, (0, wider)), mask, scale=scale)[..., :-wider]
    if wider < 0:
        query, key = F.pad(query, (0, -wider)), F.pad(key, (0, -wider))
    return F.scaled_dot_product_attention(query, key, value, mask, scale=scale)


def neighbours(x: Tensor, kernel: int, dilation: int = 1) -> list[Tensor]:
    """Return the map shifted to each position of a k × k window, zeros from outside; views of one padded copy.

    Args:
        x: (…, H, W).
        kernel: k, odd.
        dilation: spacing d of the window's positions.

    Returns:
        k² maps (…, H, W), row by row: entry i·k + j holds x at (y + d·(i − k//2), x + d·(j − k//2)).
    """
    padded = F.pad(x, (dilation * (kernel // 2),) * 4)
    # Ends counted from the back: no size of the map is baked into an exported graph.
    spans = [slice(dilation * i, dilation * (i + 1 - kernel) or None) for i in range(kernel)]
    return [padded[..., rows, columns] for rows in spans for columns in spans]


def group_norm(layer: nn.GroupNorm, x: Tensor) -> Tensor:
    """Normalise by groups of channels; a single value per group, which nn.GroupNorm refuses, becomes the shift.

    Args:
        layer: the layer.
        x: (B, C, *any).

    Returns:
        The same shape.
    """
    return torch.group_norm(x, layer.num_groups, layer.weight, layer.bias, layer.eps)


def one_hot(size: int, like: Tensor) -> Tensor:
    """Make the unit matrix by a comparison: exporters have trouble with torch.eye of a size that varies.

    Args:
        size: rows and columns.
        like: tensor of the wanted dtype and device.

    Returns:
        (size, size).
    """
    at = torch.arange(size, device=like.device)
    return (at.unsqueeze(1) == at).to(like.dtype)


def cell_bounds(size: int, cells: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Return where the cells of adaptive pooling begin and end along one axis.

    Args:
        size: length of the axis.
        cells: number of cells, more than size if need be.
        like: tensor of the wanted device.

    Returns:
        First position and the one after the last, each (cells,) of whole numbers.
    """
    cell = torch.arange(cells, device=like.device)
    return cell * size // cells, ((cell + 1) * size + cells - 1) // cells


def pooling_matrix(size: int, cells: int, like: Tensor) -> Tensor:
    """Return adaptive average pooling along one axis as a matrix, which exports for any size.

    Args:
        size: length of the axis.
        cells: number of cells, more than size if need be.
        like: tensor of the wanted dtype and device.

    Returns:
        (cells, size); row i averages positions ⌊i·size/cells⌋ … ⌈(i+1)·size/cells⌉ − 1.
    """
    start, end = (bound[:, None] for bound in cell_bounds(size, cells, like))
    at = torch.arange(size, device=like.device)[None]
    return ((at >= start) & (at < end)).to(like.dtype) / (end - start).to(like.dtype)


def resize_matrix(size: int, cells: int, like: Tensor) -> Tensor:
    """Return linear resizing along one axis as a matrix, which exports for any size and has a repeatable gradient.

    Args:
        size: length wanted.
        cells: length given.
        like: tensor of the wanted dtype and device.

    Returns:
        (size, cells), as F.interpolate does it with align_corners=False; the unit matrix if both are equal.
    """
    cell = torch.arange(cells, device=like.device).to(like.dtype)
    at = (torch.arange(size, device=like.device).to(like.dtype) + 0.5) * cells / size - 0.5
    return (1 - (at.clamp(0, cells - 1).unsqueeze(1) - cell).abs()).clamp(min=0)


def exporting() -> bool:
    """Tell whether the network is being traced or exported, so that a branch on a size would be baked in."""
    return torch.jit.is_tracing() or is_exporting()


def plain() -> bool:
    """Tell whether no backward pass can follow, so that an operation needs no gradient of its own."""
    return not torch.is_grad_enabled() or exporting()


def missing(size: int, wanted: int) -> int:
    """Return by how much an axis is shorter than wanted, 0 where it is not; while tracing for any size.

    Args:
        size: an entry of a shape.
        wanted: length.

    Returns:
        max(wanted − size, 0).
    """
    return (size < wanted) * (wanted - size) if torch.jit.is_tracing() else max(wanted - size, 0)
