"""Tensors whose numbers the popular code keeps in another order than this project's mechanisms.

Only pairs that were found by order and shape are converted: under equal names the order is this project's.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from torch import Tensor

# Mechanism → end of a tensor's name, the axis to reverse, unless the layer has a tensor of the third name's end, or the
# source has names with one of the last parts. Most forks' CBAM puts the mean before the maximum; its authors', which
# alone normalise the map, and copies whose perceptron is called mlp or se put the maximum first.
_REVERSED = {"CBAM": ("spatial.conv.weight", 1, "spatial.bn.weight", ("mlp", "se"))}


def reversed_axis(layer: Any, rest: str, tensors: Collection[str], source: Collection[str]) -> int | None:
    """Return the axis to reverse in a tensor that was paired by shape, None for most.

    Args:
        layer: of the target; what has no attention has no such tensor.
        rest: the tensor's name within it.
        tensors: names of all its tensors.
        source: names of all tensors of the source's layer.
    """
    for used in _attention(layer):
        if used.module not in _REVERSED:
            continue
        end, axis, unless, words = _REVERSED[used.module]
        as_authors = rest.removesuffix(end) + unless in tensors or _has_part(source, words)
        if rest.endswith(end) and not as_authors:
            return axis
    return None


def computes_otherwise(layer: Any, source: Collection[str]) -> bool:
    """Tell whether a fork's layer of the same shapes is known to compute something else: its tensors are no use.

    GAM with groups shuffles its gates in the forks, which is gate_shuffle here; and one copy pads by repeating the
    border, which is border: replicate.

    Args:
        layer: of the target.
        source: names of all tensors of the source's layer.
    """
    return any(used.module == "GAM" and _is_another_gam(used.kwargs, source) for used in _attention(layer))


def _is_another_gam(options: Mapping[str, Any], source: Collection[str]) -> bool:
    shuffles_between = options.get("groups", 1) != 1 and options.get("gate_shuffle", 1) == 1
    repeats_border = options.get("border") == "replicate"
    return shuffles_between or _has_part(source, ("spatial_attention",)) == repeats_border


def _attention(layer: Any) -> list[Any]:
    attention = getattr(layer, "attention", None)
    return [*([attention] if attention else []), *(inner.attention for inner in getattr(layer, "inside", ()))]


def _has_part(names: Collection[str], words: Collection[str]) -> bool:
    return any(part in words for name in names for part in name.split("."))


def converted(tensor: Tensor, shape: tuple[int, ...], axis: int | None) -> Tensor:
    """Return a tensor in the target's shape, of the same numbers, with one axis reversed where that is asked."""
    flipped = tensor if axis is None else tensor.flip(axis)
    return flipped.reshape(shape)


def fits_channels(old: Sequence[int], new: Sequence[int], channels: int, wanted: int) -> bool:
    """Tell whether two shapes of a convolution's weight differ by the channels of the image that it reads alone.

    Args:
        old: shape in the source, (out, k * channels, h, w); k is 1, or 4 where neighbouring pixels are stacked.
        new: shape in the target.
        channels: of the source's image.
        wanted: of the target's.
    """
    if channels == wanted or len(old) != 4 or len(new) != 4 or (old[0], *old[2:]) != (new[0], *new[2:]):
        return False
    return old[1] % channels == 0 and old[1] // channels * wanted == new[1]


def for_channels(weight: Tensor, channels: int, wanted: int) -> Tensor:
    """Return a first convolution's weight for images of another number of channels.

    Each new channel gets the mean of the old ones, times old / new: the sum stays, and with it the answer to an image
    that is alike in all channels.

    Args:
        weight: (out, k * channels, h, w), see `fits_channels`.
        channels: of its image.
        wanted: of the new one.
    """
    stacked = weight.float().unflatten(1, (-1, channels))  # (out, k, channels, h, w)
    mean = stacked.mean(2, keepdim=True) * (channels / wanted)
    return mean.expand(-1, -1, wanted, -1, -1).flatten(1, 2).to(weight.dtype)


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
    source = [key.removeprefix(prefix) for key in state if key.startswith(prefix)]
    return {
        f"{prefix}{new}": converted(state[f"{prefix}{old}"], shapes[new], reversed_axis(layer, new, shapes, source))
        for new, old in pairs.items()
    }
