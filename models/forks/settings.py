"""Say in a description what a pickled model's modules are set to, where that is not what they would be set to here."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from models.network.parser import construct
from models.spec.activations import ACTIVATIONS
from models.spec.model_spec import ModelSpec, read_spec
from models.weights.official import OfficialCheckpoint

YOLO_NORM = (1e-3, 0.03)  # what blocks have here without being told, as in the original repositories
_USUAL = frozenset({"nn.SiLU()", "nn.Identity()"})


def with_settings(
    spec: ModelSpec,
    description: Mapping[str, Any],
    official: OfficialCheckpoint,
    paths: Mapping[str, str],
    state: Mapping[str, Tensor],
) -> dict[str, Any]:
    """Return a description with `batch_norm`, `activation` and `modules` where the file's modules need them.

    Args:
        spec: the description as it resolves.
        description: the file's, with dialects chosen.
        official: the file as it was read.
        paths: modules that have another path here: the file's → ours.
        state: tensors under our names.
    """
    result = dict(description)
    modules: dict[str, Any] = {}
    usual = Counter(official.norms.values()).most_common(1)
    if usual:
        norm = usual[0][0]
        if norm != YOLO_NORM or any(layer.attention or layer.inside for layer in spec.layers):
            result["batch_norm"] = list(norm)
        renamed = {paths.get(path, path): value for path, value in official.norms.items() if value != norm}
        modules |= {path: list(value) for path, value in renamed.items() if f"{path}.running_mean" in state}
    other = _other_activations(spec, official)
    if other and spec.activation is None and len(set(other.values())) == 1:
        everywhere = result | {"activation": next(iter(other.values()))}
        rest = _other_activations(read_spec(everywhere), official)
        if len(rest) < len(other):
            result, other = everywhere, rest
    modules |= other
    if modules:
        result["modules"] = modules
    return result


def _other_activations(spec: ModelSpec, official: OfficialCheckpoint) -> dict[str, str]:
    """Return activations of the file, by path, that differ from those at the same paths here."""
    found: dict[str, str] = {}
    asked = {path for path, text in official.activations.items() if text not in _USUAL or spec.activation is not None}
    rows = {path.split(".")[1] for path in asked if path.count(".") >= 1}
    for layer in spec.layers:
        if layer.name not in rows or layer.section == "head":
            continue
        for name, module in construct(layer, spec, 0).named_modules(remove_duplicate=False):
            path = f"model.{layer.name}.{name}"
            text = official.activations.get(path)
            if text is not None and text_of(module) not in ("", text):
                found[path] = text
    return found


def text_of(module: nn.Module) -> str:
    """Return an activation as a description writes it, "" for another module."""
    name = type(module).__name__
    if isinstance(module, nn.LeakyReLU):
        return f"nn.LeakyReLU({module.negative_slope:g})"
    return f"nn.{name}()" if ACTIVATIONS.get(name) is type(module) else ""
