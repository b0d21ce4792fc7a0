"""Bounds on what a model description may ask for, checked before memory is taken."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from models.network.cost import count_parameters
from models.spec.layer import Layer

MAX_PARAMETERS = 400_000_000  # of a model, 1.6 GB in float32; the largest one in use has 167 million
_LOOKS_LARGE = 2e8


def check_size(layer: Layer, make: Callable[[], nn.Module]) -> None:
    """Refuse a layer that would not fit in memory.

    Its numbers tell at once that almost any layer is harmless; the others are constructed without memory and counted.

    Args:
        layer: the layer.
        make: constructs it.

    Raises:
        ValueError: naming the number of parameters.
    """
    if layer.section == "head":
        count = _of_head(layer)
    elif _looks(layer) < _LOOKS_LARGE:
        return
    else:
        with torch.device("meta"):
            count = count_parameters(make())
    if count > MAX_PARAMETERS:
        raise ValueError(f"it would have {count:,} parameters, more than {MAX_PARAMETERS:,}; lower its arguments")


def _of_head(layer: Layer) -> int:
    """Return the parameters of a head's output convolutions: each class (of each anchor) reads every channel."""
    classes, *anchors, channels = layer.call.args
    per_cell = len(anchors[0][0]) // 2 if anchors and anchors[0] else 1
    return int(classes * per_cell * sum(channels))


def _looks(layer: Layer) -> float:
    """Return a number above that of the parameters, from the arguments alone."""
    widths: list[float] = [layer.channels if isinstance(layer.channels, int) else sum(layer.channels) or 1]
    if layer.attention is not None:
        numbers, widths = list(_numbers(layer.attention.kwargs)), widths * 2
    else:
        first, rest = layer.call.args[:2], layer.call.args[2:]
        widths = [max(number, 1) for number in _numbers(first)] or widths
        numbers = list(_numbers(rest))
    # Squared, as for a square kernel.
    return math.prod(widths) * math.prod(max(number, 1) ** 2 for number in numbers) * max(layer.number, 1)


def _numbers(value: Any) -> Iterator[float]:
    """Yield the numbers in a nested value."""
    if isinstance(value, bool):
        return
    if isinstance(value, int | float):
        yield min(abs(float(value)), 1e12)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _numbers(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _numbers(item)
