"""Tensors whose numbers the popular code keeps in another order than this project's mechanisms.

Only pairs that were found by order and shape are converted: under equal names the order is this project's.
"""

from collections.abc import Collection, Mapping
from typing import Any

from torch import Tensor

# Mechanism → end of a tensor's name → the axis to reverse, unless the layer has a tensor of the third name's end.
# CBAM of the forks puts the mean before the maximum; its authors', which alone normalise the map, the maximum first.
_REVERSED: dict[str, tuple[str, int, str]] = {"CBAM": ("spatial.conv.weight", 1, "spatial.bn.weight")}


def reversed_axis(layer: Any, rest: str, tensors: Collection[str]) -> int | None:
    """Return the axis to reverse in a tensor that was paired by shape, None for most.

    Args:
        layer: of the target; what has no attention has no such tensor.
        rest: the tensor's name within it.
        tensors: names of all its tensors.
    """
    attention = getattr(layer, "attention", None)
    inside = [inner.attention for inner in getattr(layer, "inside", ())]
    for used in [*([attention] if attention else []), *inside]:
        end, axis, unless = _REVERSED.get(used.module, ("", 0, ""))
        if end and rest.endswith(end) and rest.removesuffix(end) + unless not in tensors:
            return axis
    return None


def converted(tensor: Tensor, shape: tuple[int, ...], axis: int | None) -> Tensor:
    """Return a tensor in the target's shape, of the same numbers, with one axis reversed where that is asked."""
    flipped = tensor if axis is None else tensor.flip(axis)
    return flipped.reshape(shape)


def renamed_layer(
    layer: Any,
    prefix: str,
    state: Mapping[str, Tensor],
    shapes: Mapping[str, tuple[int, ...]],
    pairs: Mapping[str, str],
) -> dict[str, Tensor]:
    """Return the tensors of a layer that were paired by order and shape, under the target's names.

    Args:
        layer: of the target.
        prefix: of its tensors in both, such as "model.9.".
        state: the source's tensors under whole names.
        shapes: the target layer's tensors within it.
        pairs: the target's name within the layer → the source's.
    """
    return {
        f"{prefix}{new}": converted(state[f"{prefix}{old}"], shapes[new], reversed_axis(layer, new, shapes))
        for new, old in pairs.items()
    }
