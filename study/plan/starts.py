"""Find attention that changes a pretrained detector at the start: its effect is not the mechanism's alone."""

from collections.abc import Iterator

from models.catalog.mechanisms import build_mechanism
from models.spec.layer import Attention, Layer
from models.spec.model_spec import ModelSpec
from study.plan.plan import Plan
from study.plan.variants import BASELINE


def changed_starts(plan: Plan) -> dict[str, tuple[str, ...]]:
    """Return variant → its attention that does not start as the identity, as "CBAM after 17".

    Only variants that start from pretrained weights and have such attention are in it. What the baseline has at the
    same place is left out: it is no change of the variant's.

    Args:
        plan: of the study.
    """
    if plan.weights is None:
        return {}
    known = set(_changing(plan.models[BASELINE]))
    changed = {name: [text for text in _changing(model) if text not in known] for name, model in plan.models.items()}
    return {name: tuple(dict.fromkeys(texts)) for name, texts in changed.items() if texts}


def _changing(model: ModelSpec) -> Iterator[str]:
    for layer in model.layers:
        home, _, placed = layer.name.partition("+")
        if layer.attention is not None and not _starts_as_identity(layer.attention, layer):
            yield f"{_leaf(layer.attention)} {'after' if placed else 'in row'} {home}"
        for inner in layer.inside:
            if not _starts_as_identity(inner.attention, layer):
                yield f"{_leaf(inner.attention)} inside {home}"


def _starts_as_identity(attention: Attention, layer: Layer) -> bool:
    if attention.identity:
        return True
    channels = layer.channels if isinstance(layer.channels, int) else layer.channels[0]
    module = build_mechanism(attention.module, channels, **attention.kwargs)
    return bool(getattr(module, "starts_at_identity", False))


def _leaf(attention: Attention) -> str:
    return attention.module.rpartition(".")[2]
