"""Which layer of one model description is which of another, when hand edits have shifted the numbers.

The two lists of layers are aligned like two texts (the heaviest common subsequence): a pair needs the same type and
weighs more with equal arguments, equal tensor shapes and corresponding inputs. Inputs correspond through the alignment
itself, so it is refined until it stays. Layers of different words pair too, unless
both are plain blocks, where all their tensors agree in order and shape: forks spell one layer differently.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from models.alignment import heaviest_pairs
from models.catalog.registry import BLOCKS
from models.catalog.ultralytics_layers import STOCK
from models.weights.transfer.pair_tensors import signature

Shapes = Mapping[str, tuple[int, ...]]  # a layer's tensors: name within the layer → shape

_SAME_TYPE, _OTHER_WORD, _SAME_ARGS, _SAME_SHAPES, _SAME_READS, _READS_THROUGH = 4.0, 1.0, 2.0, 4.0, 2.0, 1.5
_ROUNDS = 4


class LayerLike(Protocol):
    """What the alignment needs to know of a layer."""

    @property
    def name(self) -> str:
        """The name in state-dict keys: `model.<name>.…`; of base layers the row number."""

    @property
    def module(self) -> str:
        """The layer's type, as the YAML says it."""

    @property
    def args(self) -> tuple[Any, ...]:
        """The arguments of the row."""

    @property
    def reads(self) -> tuple[str, ...]:
        """The names of the layers that it reads."""


def align_layers(
    source: Sequence[LayerLike],
    target: Sequence[LayerLike],
    source_shapes: Mapping[str, Shapes],
    target_shapes: Mapping[str, Shapes],
) -> dict[str, str]:
    """Pair the layers of two models.

    Layers keep their names when only attention was placed (its layers have a "+" in their names), and then names
    decide. Otherwise the lists are aligned.

    Args:
        source: layers that have weights to give.
        target: layers of the new model.
        source_shapes: tensors of each source layer.
        target_shapes: tensors of each target layer.

    Returns:
        Target layer name → source layer name, for the layers that have a counterpart.
    """
    if _same_base(source, target):
        types = {layer.name: layer.module for layer in source}
        return {layer.name: layer.name for layer in target if types.get(layer.name) == layer.module}
    likeness = _likeness(source, target, source_shapes, target_shapes)
    pairs: dict[str, str] = {}
    for _ in range(_ROUNDS):
        found = heaviest_pairs(_with_reads(likeness, source, target, pairs), len(source), len(target))
        refined = {target[j].name: source[i].name for i, j in found}
        if refined == pairs:
            break
        pairs = refined
    return pairs


def is_head(module: str) -> bool:
    """Tell whether a layer type is a detection head; heads correspond whatever their dialect (Detect, IDetect, …)."""
    return "Detect" in module


def _is_plain(module: str) -> bool:
    return module in BLOCKS or module in STOCK


def _same_base(source: Sequence[LayerLike], target: Sequence[LayerLike]) -> bool:
    base = [{layer.name: layer.module for layer in layers if "+" not in layer.name} for layers in (source, target)]
    return base[0] == base[1]


def _likeness(
    source: Sequence[LayerLike],
    target: Sequence[LayerLike],
    source_shapes: Mapping[str, Shapes],
    target_shapes: Mapping[str, Shapes],
) -> dict[tuple[int, int], float]:
    """Return the weight of every admissible pair (source position, target position) but for what the layers read."""
    scores: dict[tuple[int, int], float] = {}
    old_forms = [signature(source_shapes.get(layer.name, {})) for layer in source]
    new_forms = [signature(target_shapes.get(layer.name, {})) for layer in target]
    for i, old in enumerate(source):
        for j, new in enumerate(target):
            same_form = old_forms[i] == new_forms[j]
            if old.module == new.module or (is_head(old.module) and is_head(new.module)):
                shapes = (
                    1.0 if same_form else _agreement(source_shapes.get(old.name, {}), target_shapes.get(new.name, {}))
                )
                same_args = tuple(old.args) == tuple(new.args)
                scores[i, j] = _SAME_TYPE + _SAME_ARGS * same_args + _SAME_SHAPES * shapes
            elif same_form and new_forms[j] and not (_is_plain(old.module) and _is_plain(new.module)):
                scores[i, j] = _OTHER_WORD + _SAME_SHAPES
    return scores


def _with_reads(
    likeness: Mapping[tuple[int, int], float],
    source: Sequence[LayerLike],
    target: Sequence[LayerLike],
    pairs: Mapping[str, str],
) -> dict[tuple[int, int], float]:
    """Return the weights with what inputs add that correspond by the pairs found so far."""
    back = {layer: name for name, layer in pairs.items()}
    through = _seen_through(target, pairs)
    wanted = [{back.get(name) for name in layer.reads} for layer in source]
    direct: list[set[str]] = [set(layer.reads) for layer in target]
    seen = [{through[name] for name in layer.reads if name in through} for layer in target]
    scores = dict(likeness)
    for i, j in likeness:
        if wanted[i] == direct[j]:
            scores[i, j] += _SAME_READS
        elif wanted[i] == seen[j]:
            scores[i, j] += _READS_THROUGH
    return scores


def _seen_through(target: Sequence[LayerLike], pairs: Mapping[str, str]) -> dict[str, str]:
    """Return for each target layer the nearest at or before it with a counterpart, past single-input insertions."""
    through: dict[str, str] = {}
    for layer in target:
        if layer.name in pairs or len(layer.reads) != 1:
            through[layer.name] = layer.name
        else:
            through[layer.name] = through.get(layer.reads[0], layer.reads[0])
    return through


def _agreement(old: Shapes, new: Shapes) -> float:
    """Return the share of the new layer's tensors that the old one has in the same shape; 1 if it has none."""
    if not new:
        return 1.0
    return sum(old.get(name) == shape for name, shape in new.items()) / len(new)
