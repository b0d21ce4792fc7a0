"""Means and maxima of maps: over the positions of a channel, and over one axis."""

from typing import Any

import torch
from torch import Tensor

from attention.layers.tensor_ops import plain


def average(x: Tensor, axes: tuple[int, ...], *, keepdim: bool = False) -> Tensor:
    """Average over axes; in training by the sum, whose gradient is spread as a view where that of x.mean is a map.

    Args:
        x: any shape.
        axes: to average over.
        keepdim: whether they stay, with length 1.

    Returns:
        The mean, in the dtype of x; half precision is summed in float32.
    """
    if plain():
        return x.mean(axes, keepdim)
    total = x.sum(axes, keepdim, dtype=torch.promote_types(x.dtype, torch.float32))
    return (total * (total.numel() / x.numel())).to(x.dtype)


def pool_mean(x: Tensor) -> Tensor:
    """Return the mean of every channel of a map.

    Args:
        x: (B, C, *spatial).

    Returns:
        (B, C).
    """
    return average(x, tuple(range(2, x.dim())))


def pool_max_mean(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the largest value and the mean of every channel of a map.

    Args:
        x: (B, C, *spatial).

    Returns:
        Two tensors (B, C). The gradient of a maximum goes to the first position that has it.
    """
    if plain():
        axes = tuple(range(2, x.dim()))
        return x.amax(axes), x.mean(axes)
    most, mean, _ = _OfPositions.apply(x)
    return most, mean


def axis_max_mean(x: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Return the largest value and the mean along one axis of a map.

    Args:
        x: (B, C, *spatial).
        axis: 1 or more.

    Returns:
        Two tensors of the shape of x with length 1 along the axis. The gradient of a maximum is shared by all that
        have it.
    """
    if plain():
        return x.amax(axis, keepdim=True), x.mean(axis, keepdim=True)
    most, mean = _AlongAxis.apply(x, axis)
    return most, mean


def planes(first: Tensor, second: Tensor) -> Tensor:
    """Return two maps of one channel as one of two, ready for a convolution.

    Args:
        first: (B, 1, *spatial).
        second: the same shape.

    Returns:
        (B, 2, *spatial); in training channels-last, since a CPU's backward pass of a convolution of so few channels is
        several times faster then.
    """
    both = torch.cat((first, second), 1)
    return both if plain() or both.dim() != 4 else both.contiguous(memory_format=torch.channels_last)


class _OfPositions(torch.autograd.Function):
    """(B, C, *spatial) → maximum, mean (B, C), and the flat position of the maximum.

    One map is written on the way back, where the three operations of PyTorch write five. The position is looked for in
    the rows' maxima first: arg max over a whole map is twenty times slower than its maximum.
    """

    @staticmethod
    def forward(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        rows = x.flatten(2, -2) if x.dim() > 3 else x.unsqueeze(2)  # (B, C, rows, W)
        width = rows.shape[3]
        row = rows.amax(3).argmax(2)[..., None, None]  # (B, C, 1, 1)
        most, column = rows.gather(2, row.expand(-1, -1, 1, width)).max(3, keepdim=True)
        position = (row * width + column).flatten(1)
        return most.flatten(1), x.mean(tuple(range(2, x.dim()))), position

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: tuple[Tensor, Tensor, Tensor]) -> None:
        ctx.shape = inputs[0].shape
        ctx.mark_non_differentiable(output[2])
        ctx.save_for_backward(output[2])

    @staticmethod
    def backward(ctx: Any, to_most: Tensor, to_mean: Tensor, _: Tensor) -> Tensor:
        (position,) = ctx.saved_tensors
        count = ctx.shape[2:].numel()
        share = (to_mean / count).unsqueeze(2)
        spread = share.expand(-1, -1, count).scatter(2, position.unsqueeze(2), to_most.unsqueeze(2) + share)
        return spread.view(ctx.shape)


class _AlongAxis(torch.autograd.Function):
    """Maximum and mean along an axis; the mask of the maxima is made of numbers, which is several times faster here
    than one of booleans."""

    @staticmethod
    def forward(x: Tensor, axis: int) -> tuple[Tensor, Tensor]:
        return x.amax(axis, keepdim=True), x.mean(axis, keepdim=True)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, int], output: tuple[Tensor, Tensor]) -> None:
        ctx.axis = inputs[1]
        ctx.save_for_backward(inputs[0], output[0])

    @staticmethod
    def backward(ctx: Any, to_most: Tensor, to_mean: Tensor) -> tuple[Tensor, None]:
        x, most = ctx.saved_tensors
        with torch.no_grad():
            reached = torch.eq(x, most, out=torch.empty_like(x))
            number = reached.sum(ctx.axis, keepdim=True)
        return reached.mul_(to_most / number).add_(to_mean / x.shape[ctx.axis]), None
