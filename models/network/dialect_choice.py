"""Choose what words of a model YAML mean by the shapes of the tensors that a checkpoint has under their rows."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch

from models.catalog.dialect_shapes import comparable_shapes
from models.catalog.dialects import is_word, structures
from models.catalog.fused_words import split_fused
from models.errors import SpecError
from models.network.parser import construct
from models.spec.model_spec import ModelSpec, read_spec

Shapes = Sequence[Sequence[int]]


def choose_by_shapes(description: Mapping[str, Any], shapes: Mapping[int, Shapes]) -> dict[int, str]:
    """Return what to say under `dialect` for each row whose word has several meanings, as far as its tensors tell.

    Args:
        description: a whole model description.
        shapes: row number → shapes of the row's parameters in the checkpoint, buffers left out.

    Returns:
        Row number → dialect; rows whose tensors fit no known structure are left out.

    Raises:
        SpecError: if the description cannot be read.
    """
    spec = read_spec(description)
    rows = [*spec.yaml["backbone"], *spec.yaml["head"]]
    chosen: dict[int, str] = {}
    for index, found in shapes.items():
        layer = spec.layers[index] if 0 <= index < len(rows) else None
        if layer is None or not layer.dialect:
            continue
        for name in (layer.dialect, *candidates(rows[index][2])):
            if _shapes_as(spec, index, name) == comparable_shapes(found):
                chosen[index] = name
                break
    return chosen


def candidates(word: str) -> list[str]:
    """Return every dialect of a word in a row, the most frequent first."""
    fused = None if is_word(word) else split_fused(word)
    if fused is None:
        return [structure.name for structure in structures(word)]
    inner = [structure.name for structure in structures(fused.mechanism) if not structure.block]
    return [f"{placement.name}+{name}" for placement in fused.placements for name in inner]


def _shapes_as(spec: ModelSpec, index: int, dialect: str) -> list[tuple[int, ...]] | None:
    """Return the shapes of a row's parameters in a dialect; None where it cannot be built so."""
    said = spec.yaml.get("dialect")
    before: Mapping[Any, Any] = said if isinstance(said, Mapping) else {}
    try:
        other = read_spec({**spec.yaml, "attention": None, "dialect": {**before, index: dialect}})
        with torch.device("meta"):
            module = construct(other.layers[index], other, 0)
    except SpecError:
        return None
    return comparable_shapes(_shapes(module))


def _shapes(module: torch.nn.Module) -> Iterable[tuple[int, ...]]:
    return (tuple(parameter.shape) for parameter in module.parameters())
