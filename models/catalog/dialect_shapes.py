"""The shapes of a structure's parameters: how many there are, and what makes two lists of shapes the same."""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import torch

from models.catalog.dialect_table import Structure
from models.catalog.mechanisms import build_mechanism
from models.catalog.registry import BLOCKS
from models.catalog.ultralytics_layers import stock_class

_COUNTED_CHANNELS = 8192  # above it a count is not worth its tensors


def count_parameters(structure: Structure, channels: int, options: Mapping[str, Any] | None = None) -> int | None:
    """Return the parameters of a mechanism at a number of channels; None where it cannot be built so."""
    shapes = shapes_of(structure, channels, options)
    return None if shapes is None else sum(torch.Size(shape).numel() for shape in shapes)


def shapes_of(
    structure: Structure, channels: int, options: Mapping[str, Any] | None = None
) -> list[tuple[int, ...]] | None:
    """Return the shapes of a structure's parameters, in order; None where it cannot be built so.

    Args:
        structure: the layer; a block reads and returns C channels.
        channels: C of the map.
        options: written in the row, over the structure's.
    """
    if channels > _COUNTED_CHANNELS:
        return None
    merged = {**structure.options, **(options or {})}
    try:
        key = tuple(sorted((name, _hashable(value)) for name, value in merged.items()))
        block = _block_shapes(structure.block, channels, structure.fill) if structure.block else ()
        return [*block, *(_shapes(structure.module, channels, key) if structure.module else ())]
    except (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError):
        return None


def _hashable(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


@lru_cache(maxsize=4096)
def _shapes(module: str, channels: int, options: tuple[tuple[str, Any], ...]) -> tuple[tuple[int, ...], ...]:
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        built = build_mechanism(module, channels, **dict(options))
    return tuple(tuple(parameter.shape) for parameter in built.parameters())


@lru_cache(maxsize=256)
def _block_shapes(block: str, channels: int, fill: tuple[Any, ...]) -> tuple[tuple[int, ...], ...]:
    cls = BLOCKS[block].cls if block in BLOCKS else stock_class(block)
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        built = cls(channels, channels, *(value for value in fill if not isinstance(value, str)))
    return tuple(tuple(parameter.shape) for parameter in built.parameters())


def comparable_shapes(shapes: Iterable[Sequence[int]]) -> list[tuple[int, ...]]:
    """Return shapes without axes of length 1, sorted: a linear layer and a 1 × 1 convolution are the same."""
    return sorted(tuple(n for n in shape if n != 1) for shape in shapes)
