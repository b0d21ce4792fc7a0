"""Write a fork's description as an overlay of a stock model, where one says exactly the same."""

from collections.abc import Mapping, Sequence
from typing import Any

from models.errors import SpecError
from models.lint.check import lint
from models.lint.nearest_base import NearestBase
from models.network.routes import routes_of
from models.spec.base_files import OVERLAY_KEYS
from models.spec.layer import Layer
from models.spec.model_spec import ModelSpec, read_spec

_HEADER = ("nc", "names", "anchors", "activation", "batch_norm", "identity", "ch", "inplace")


def overlay_of(spec: ModelSpec, base: NearestBase | None) -> dict[str, Any] | None:
    """Return an overlay that resolves to the same model, layer by layer; None if there is none.

    Args:
        spec: the fork's model.
        base: the stock model that it was made from; None if there is none near.
    """
    if base is None or not base.same_scale or spec.yaml.get("modules"):
        return None  # settings of single modules name rows, which an overlay numbers otherwise
    try:
        report = lint(dict(spec.yaml), base.name)
    except SpecError:
        return None
    pairing = base.pairing
    if report.overlay is None and (pairing.inserted or pairing.replaced or pairing.removed):
        return None
    attention = {"attention": report.overlay["attention"]} if report.overlay else {}
    stock = read_spec(base.name)
    header = {key: spec.yaml[key] for key in _HEADER if key in spec.yaml and spec.yaml[key] != stock.yaml.get(key)}
    head = {} if spec.head.module == stock.head.module else {"head": spec.head.module}
    overlay = {"base": base.name, **header, **head, **attention}
    return overlay if set(overlay) <= OVERLAY_KEYS and says_the_same(overlay, spec) else None


def says_the_same(overlay: Mapping[str, Any], spec: ModelSpec) -> bool:
    """Tell whether an overlay resolves to the same layers in the same order, with the same inputs and settings."""
    try:
        other = read_spec(overlay)
    except SpecError:
        return False
    routes = [[(route.position, route.sources) for route in routes_of(model)] for model in (other, spec)]
    return (
        routes[0] == routes[1]
        and _forms(other.layers) == _forms(spec.layers)
        and (other.nc, other.anchors, other.activation) == (spec.nc, spec.anchors, spec.activation)
        and all(other.yaml.get(key) == spec.yaml.get(key) for key in ("batch_norm", "reg_max", "end2end"))
    )


def _forms(layers: Sequence[Layer]) -> list[Any]:
    """Return what a layer is built from, whatever its row calls it."""
    forms: list[Any] = []
    for layer in layers:
        used = [layer.attention] if layer.attention else [inner.attention for inner in layer.inside]
        attention = [(a.module, dict(a.kwargs), a.identity, a.repeats) for a in used]
        block = () if layer.attention else (layer.module, layer.call.args, layer.call.repeats)
        forms.append((block, attention, [inner.where for inner in layer.inside]))
    return forms
