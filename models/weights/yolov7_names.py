"""Tensor names of YOLOv7 in its original flat form and in ours, where one block stands for several rows.

No table: both forms list the same weighted units (a convolution with its normalisation, an SPPCSPC, …) in the same
order, so two sequences of units are aligned by the names and shapes of the tensors inside each.
"""

import re
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher

from torch import Tensor

from models.catalog.registry import BLOCKS
from models.spec.layer import Layer

_ROW = re.compile(r"model\.(\d+)\.")
_HEAD = re.compile(r"m\.0\.weight")  # of the tensors of a unit, this one is a head's only
_UNCOUNTED = ("num_batches_tracked", "anchors", "anchor_wh", "anchor_grid")

Signature = tuple[object, ...]


def has_blocks(layers: Sequence[Layer]) -> bool:
    """Tell whether a layer stands for several rows of the flat form."""
    return any(_inner_units(layer) for layer in layers)


def from_flat(
    state: Mapping[str, Tensor], layers: Sequence[Layer], target: Mapping[str, tuple[int, ...]]
) -> dict[str, Tensor]:
    """Rename tensors of a flat description to those of a model with blocks.

    Args:
        state: tensors under flat names, "model.2.conv.weight".
        layers: layers of the model with blocks.
        target: its state-dict keys and shapes.

    Returns:
        The tensors; those without a counterpart under "flat.<old name>", so that reports can still name them.
    """
    rows = sorted({int(match[1]) for match in map(_ROW.match, state) if match})
    shapes = {key: tuple(value.shape) for key, value in state.items()}
    return _renamed(state, shapes, [str(row) for row in rows], target, _units(layers))


def to_flat(
    state: Mapping[str, Tensor], layers: Sequence[Layer], target: Mapping[str, tuple[int, ...]]
) -> dict[str, Tensor]:
    """Rename tensors of a model with blocks to those of a flat description.

    Args:
        state: tensors under names with blocks, "model.2.cv1.conv.weight".
        layers: layers of the model with blocks.
        target: state-dict keys and shapes of the flat model.

    Returns:
        The tensors; those without a counterpart under "blocks.<old name>".
    """
    rows = sorted({int(match[1]) for match in map(_ROW.match, target) if match})
    shapes = {key: tuple(value.shape) for key, value in state.items()}
    return _renamed(state, shapes, _units(layers), target, [str(row) for row in rows], "blocks")


def is_flat(state: Mapping[str, object], layers: Sequence[Layer]) -> bool:
    """Tell whether tensors are named by flat rows rather than by the blocks of these layers."""
    inner = [f"model.{layer.name}.{unit}." for layer in layers for unit in _inner_units(layer)]
    return bool(inner) and not any(key.startswith(tuple(inner)) for key in state)


def _renamed(
    state: Mapping[str, Tensor],
    shapes: Mapping[str, tuple[int, ...]],
    units: Sequence[str],
    target: Mapping[str, tuple[int, ...]],
    target_units: Sequence[str],
    rest: str = "flat",
) -> dict[str, Tensor]:
    old, new = _signatures(shapes, units), _signatures(target, target_units)
    old_names, new_names = list(old), list(new)
    matcher = SequenceMatcher(None, list(old.values()), list(new.values()), autojunk=False)
    pairs = {
        old_names[block.a + i]: new_names[block.b + i]
        for block in matcher.get_matching_blocks()
        for i in range(block.size)
    }
    renamed: dict[str, Tensor] = {}
    for key, value in state.items():
        unit = _unit_of(key, old)
        found = pairs.get(unit) if unit else None
        renamed[f"model.{found}.{key[len(unit) + 7 :]}" if found else f"{rest}.{key}"] = value
    return renamed


def _units(layers: Sequence[Layer]) -> list[str]:
    """Return the units of base layers, in order."""
    return [
        f"{layer.name}.{unit}" if unit else layer.name
        for layer in layers
        if layer.is_base and layer.attention is None
        for unit in _inner_units(layer) or [""]
    ]


def _inner_units(layer: Layer) -> list[str]:
    """Return the units of a block that stands for several rows; none for another layer."""
    flat_units = getattr(BLOCKS[layer.module].cls, "flat_units", None) if layer.module in BLOCKS else None
    found: list[str] = flat_units(*layer.call.args) if flat_units else []
    return found


def _signatures(shapes: Mapping[str, tuple[int, ...]], units: Sequence[str]) -> dict[str, Signature]:
    """Return for each unit that has tensors what they are; a head is a head whatever its classes and form."""
    inside: dict[str, list[tuple[str, tuple[int, ...]]]] = {unit: [] for unit in units}
    for key, shape in shapes.items():
        unit = _unit_of(key, inside)
        name = key[len(unit) + 7 :] if unit else ""
        placed_inside = any(part.startswith("attention") for part in name.split("."))
        if unit and not placed_inside and not name.endswith(_UNCOUNTED):
            inside[unit].append((name, shape))
    return {
        unit: ("head",) if any(_HEAD.fullmatch(name) for name, _ in tensors) else tuple(sorted(tensors))
        for unit, tensors in inside.items()
        if tensors
    }


def _unit_of(key: str, units: Mapping[str, object]) -> str:
    """Return the unit whose tensor this is: the longest known prefix after "model."; "" if there is none."""
    parts = key.removeprefix("model.").split(".")
    for end in range(len(parts) - 1, 0, -1):
        unit = ".".join(parts[:end])
        if unit in units:
            return unit
    return ""
