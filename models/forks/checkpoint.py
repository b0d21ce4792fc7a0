"""A checkpoint of a fork, or of an original repository → a description and tensors in this project's terms.

Nothing of the fork is executed. What its classes compute is known from their names, the shapes of their tensors, and
the settings of their normalisations and activations; where that does not decide, the reader says so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from models.errors import SpecError
from models.forks.settings import with_settings
from models.network.dialect_choice import choose_by_shapes
from models.network.parser import construct
from models.spec.layer import Layer
from models.spec.model_spec import ModelSpec, read_spec
from models.weights.official import OfficialCheckpoint
from models.weights.pickled_modules import PickledLayer
from models.weights.transfer.converted import computes_otherwise, renamed_layer
from models.weights.transfer.pair_tensors import pair_left_overs

_BUFFERS = frozenset({"running_mean", "running_var", "num_batches_tracked", "anchors", "anchor_wh", "anchor_grid"})


@dataclass(frozen=True)
class ForkCheckpoint:
    """What a checkpoint says, in our terms.

    Attributes:
        spec: the model; None where a row of it cannot be read.
        state: tensors, those of attention under our names where they correspond.
        layers: the layers as the file names them, also where there is no spec; empty for plain tensors.
        reason: why spec is None.
        norms: eps and momentum of each batch normalisation, by path under our names.
    """

    spec: ModelSpec | None
    state: Mapping[str, Tensor]
    layers: Sequence[PickledLayer] = ()
    reason: str = ""
    norms: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def adapt_checkpoint(
    official: OfficialCheckpoint, description: Mapping[str, Any] | None, state: Mapping[str, Tensor], path: Path
) -> ForkCheckpoint:
    """Read the model that a checkpoint describes, and name its tensors as ours are.

    Args:
        official: the file as it was read.
        description: the model description in it; None where it has none.
        state: its tensors, anchors named as ours.
        path: the file, for messages.
    """
    if description is None:
        return ForkCheckpoint(None, state, reason="it holds tensors but no model description")
    whole = {**description, "yaml_file": str(path), "name": description.get("name", path.stem)}
    layers = _in_words_of(whole, official.layers)
    try:
        chosen = choose_by_shapes(whole, _parameters_by_row(state))
        if chosen:
            whole = {**whole, "dialect": _with_rows(whole.get("dialect"), chosen)}
        spec = read_spec(whole)
        state, paths = _renamed(spec, state)
        whole = with_settings(spec, whole, official, paths, state)
        norms = {paths.get(path, path): norm for path, norm in official.norms.items()}
        return ForkCheckpoint(read_spec(whole), state, layers, norms=norms)
    except SpecError as error:
        reason = f"its model description cannot be used ({error})"
        return ForkCheckpoint(None, state, layers, reason, official.norms)


def _in_words_of(description: Mapping[str, Any], layers: Sequence[PickledLayer]) -> tuple[PickledLayer, ...]:
    """Return pickled layers with the words and arguments of the description's rows, where there are as many."""
    parts = [description.get(key) for key in ("backbone", "head")]
    rows = [row for part in parts if isinstance(part, list) for row in part]
    if len(rows) != len(layers) or not all(isinstance(row, list) and len(row) >= 4 for row in rows):
        return tuple(layers)
    anchors = description.get("anchors")
    said = []
    for layer, row in zip(layers, rows, strict=True):
        word, args = (row[2], row[3]) if isinstance(row[2], str) and isinstance(row[3], list) else (layer.module, [])
        filled = tuple(anchors if arg == "anchors" else arg for arg in args)
        said.append(replace(layer, module=word, args=filled))
    return tuple(said)


def _with_rows(dialect: object, chosen: Mapping[int, str]) -> dict[Any, str]:
    said: dict[Any, str] = dict(dialect) if isinstance(dialect, Mapping) else {}
    if isinstance(dialect, str):
        said["default"] = dialect
    return said | dict(chosen)


def _by_row(state: Mapping[str, Tensor]) -> dict[str, dict[str, tuple[int, ...]]]:
    """Return the shapes of each row's tensors by their name within the row."""
    found: dict[str, dict[str, tuple[int, ...]]] = {}
    for key, value in state.items():
        model, _, rest = key.partition(".")
        row, _, rest = rest.partition(".")
        if model == "model" and rest:
            found.setdefault(row, {})[rest] = tuple(value.shape)
    return found


def _parameters_by_row(state: Mapping[str, Tensor]) -> dict[int, list[tuple[int, ...]]]:
    return {
        int(row): [shape for rest, shape in shapes.items() if rest.rpartition(".")[2] not in _BUFFERS]
        for row, shapes in _by_row(state).items()
        if row.isdecimal() and len(row) < 6
    }


def _renamed(spec: ModelSpec, state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Name the tensors of layers with attention as ours are.

    Returns:
        The tensors, and for each module that has another path here: the file's path → ours.
    """
    result, paths = dict(state), {}
    there = _by_row(state)
    for layer in spec.layers:
        old = there.get(layer.name, {})
        if not old or (layer.attention is None and not layer.inside):
            continue
        new = shapes_of_layer(layer, spec)
        pairs = {} if computes_otherwise(layer, old) else pair_left_overs(old, new)
        prefix = f"model.{layer.name}."
        renamed = renamed_layer(layer, prefix, state, new, pairs)
        for ours, theirs in pairs.items():
            result.pop(f"{prefix}{theirs}")
            paths[(prefix + theirs).rpartition(".")[0]] = (prefix + ours).rpartition(".")[0]
        result |= renamed
    return result, paths


def shapes_of_layer(layer: Layer, spec: ModelSpec) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a layer's tensors by their name within the layer."""
    module = construct(layer, spec, 0)
    return {name: tuple(value.shape) for name, value in module.state_dict().items()}
