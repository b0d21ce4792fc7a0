"""Multiply maps by gates: a number for each channel of an image, or one for each position.

PyTorch's own backward pass of such a product writes a map of products for every gate and then sums it; these do not.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from attention.layers.tensor_ops import exporting, plain


def expand_as_map(gate: Tensor, x: Tensor) -> Tensor:
    """Give a vector per image the axes and the type of the map that it multiplies.

    Args:
        gate: (B, C).
        x: (B, C, *spatial).

    Returns:
        (B, C, 1, …) of the type of x.
    """
    return gate.to(x.dtype)[(...,) + (None,) * (x.dim() - 2)]


def gate_channels(x: Tensor, weights: Tensor) -> Tensor:
    """Multiply each channel of a map by a gate.

    Args:
        x: (B, C, *spatial).
        weights: (B, C).

    Returns:
        The same shape and dtype as x.
    """
    return weighted_sum((x,), (weights,))


def weighted_sum(branches: Sequence[Tensor], weights: Sequence[Tensor]) -> Tensor:
    """Sum branches, each weighted per channel; no stack of the branches is made.

    Args:
        branches: maps (B, C, *spatial).
        weights: as many, (B, C).

    Returns:
        Σ weights ⊙ branches, (B, C, *spatial).
    """
    if plain():
        return _sum(branches, weights)
    return _WeightedSum.apply(*branches, *weights)


def gate_positions(x: Tensor, weights: Tensor) -> Tensor:
    """Multiply each position of a map by a gate.

    Args:
        x: (B, C, *spatial), made by the caller: where no gradient is wanted, it is overwritten.
        weights: (B, 1, *spatial).

    Returns:
        The same shape and dtype as x.
    """
    weights = weights.to(x.dtype)
    return times(x, weights) if plain() else _ByPosition.apply(x, weights)


def times(x: Tensor, factor: Tensor) -> Tensor:
    """Multiply, without new memory where that does no harm.

    Args:
        x: made by the caller: where no gradient is wanted, it is overwritten.
        factor: of a shape that broadcasts to that of x.

    Returns:
        The same shape and dtype as x.
    """
    factor = factor.to(x.dtype)
    return x * factor if torch.is_grad_enabled() or exporting() else x.mul_(factor)


def _sum(branches: Sequence[Tensor], weights: Sequence[Tensor]) -> Tensor:
    out = branches[0] * expand_as_map(weights[0], branches[0])
    for branch, weight in zip(branches[1:], weights[1:], strict=True):
        out.addcmul_(branch, expand_as_map(weight, branch))
    return out


def _dots(a: Tensor, b: Tensor) -> Tensor:
    """Σ over the positions of a ⊙ b, both (B, C, *spatial); (B, C)."""
    if a.is_cpu and a.dtype == b.dtype and a.dtype.itemsize > 2 and a.is_contiguous() and b.is_contiguous():
        rows = (a.shape[0] * a.shape[1], 1, -1)
        return torch.bmm(a.view(rows), b.view(rows).mT).view(a.shape[:2])
    return (a * b).sum(tuple(range(2, a.dim())), dtype=torch.promote_types(a.dtype, torch.float32))


class _WeightedSum(torch.autograd.Function):
    """Branches, then as many weights → their weighted sum."""

    @staticmethod
    def forward(*tensors: Tensor) -> Tensor:
        half = len(tensors) // 2
        return _sum(tensors[:half], tensors[half:])

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        tensors, wanted = ctx.saved_tensors, ctx.needs_input_grad
        half = len(tensors) // 2
        branches, weights = tensors[:half], tensors[half:]
        to_branches = [
            gradient * expand_as_map(w, gradient) if want else None
            for w, want in zip(weights, wanted[:half], strict=True)
        ]
        to_weights = [
            _dots(gradient, b).to(w.dtype) if want else None
            for b, w, want in zip(branches, weights, wanted[half:], strict=True)
        ]
        return (*to_branches, *to_weights)


class _ByPosition(torch.autograd.Function):
    """(B, C, *spatial), (B, 1, *spatial) → their product; on the way back the products of one image at a time."""

    @staticmethod
    def forward(x: Tensor, weights: Tensor) -> Tensor:
        return x * weights

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        x, weights = ctx.saved_tensors
        images = zip(gradient.split(1), x.split(1), strict=True) if x.is_cpu else ((gradient, x),)
        return gradient * weights, torch.cat([(g * part).sum(1, keepdim=True) for g, part in images])
