"""Find attention mechanisms and layers of a detector by the selectors that YAMLs and flags use."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from attention.identity_start import IdentityStart
from engine.errors import UsageError
from models.errors import SpecError
from models.spec.layer import Layer
from models.spec.selectors import select_layers


@dataclass(frozen=True)
class AttentionPlace:
    """Name one mechanism of a detector.

    Attributes:
        path: of the module in the detector.
        mechanism: its class's name.
        layer: name of the base layer that it stands at or in.
        where: in words, such as "after layer 17".
        formula: from its documentation; empty where that has none.
        kernels: of its branches, where it has several.
    """

    path: str
    mechanism: str
    layer: str
    where: str
    formula: str
    kernels: tuple[int, ...] = ()

    def __str__(self) -> str:
        """Return mechanism and place."""
        return f"{self.mechanism} {self.where}"


def attention_places(detector: Any, selectors: Sequence[str] = ()) -> list[AttentionPlace]:
    """Return the mechanisms of a detector, all or those that selectors name.

    Args:
        detector: a Detector.
        selectors: name of a mechanism (CBAM), of its layer ("17+CBAM"), or of the layers that it stands at: a row,
            neck.P3, C3. Empty for all.

    Raises:
        UsageError: if there is no attention, or a selector names none; what there is is listed.
    """
    places = [place for path in detector.attention_names() for place in _expanded(detector, path)]
    if not places:
        raise UsageError("the model has no attention, so there are no gates: --maps features or cam work without")
    chosen: list[AttentionPlace] = []
    for selector in selectors:
        named = [place for place in places if selector.lower() == place.mechanism.lower()]
        named = named or [place for place in places if place.path.split(".")[1] == selector]
        if not named:
            names = {layer.name for layer in _base_layers(detector, selector, places)}
            named = [place for place in places if place.layer in names]
        if not named:
            raise UsageError(f"--layer {selector}: has no attention; there is {_listed(places)}")
        chosen += [place for place in named if place not in chosen]
    return chosen or places


def feature_layers(detector: Any, selectors: Sequence[str] = ()) -> list[tuple[str, nn.Module]]:
    """Return name and module of layers: those that selectors name, else those that the head reads.

    Where attention stands at a layer, the attended map is meant, which is what the following layers read.

    Raises:
        UsageError: if a selector names no layer.
    """
    modules = dict(detector.model.named_children())
    layers = [layer for layer in detector.spec.layers if layer.section != "head"]
    if not selectors:
        read = [name for name in detector.spec.layers[-1].reads if name in modules]
        return [(name, modules[name]) for name in dict.fromkeys(read)]
    names: list[str] = []
    for selector in selectors:
        if selector in modules and "+" in selector:
            names.append(selector)
            continue
        for layer in _base_layers(detector, selector, ()):
            last = [one.name for one in layers if one.name == layer.name or one.name.startswith(f"{layer.name}+")][-1:]
            if not last:
                raise UsageError(
                    f"--layer {selector}: is the head, which has no map of features; name a layer before it"
                )
            names += last
    return [(name, modules[name]) for name in dict.fromkeys(names)]


def _base_layers(detector: Any, selector: str, places: Sequence[AttentionPlace]) -> list[Layer]:
    """Return the base layers that a selector names, as if nothing had been placed.

    Raises:
        UsageError: if it names none.
    """
    base = [
        replace(layer, reads=tuple(_base(name) for name in layer.reads))
        for layer in detector.spec.layers
        if "+" not in layer.name
    ]
    try:
        return select_layers(base, [selector], f"--layer {selector}")
    except SpecError as error:
        there = f"; attention is {_listed(places)}" if places else ""
        raise UsageError(f"{error}{there}") from None


def _base(name: str) -> str:
    return name.split("+")[0]


def _listed(places: Sequence[AttentionPlace]) -> str:
    shown = ", ".join(str(place) for place in places[:12])
    return shown + (f" and {len(places) - 12} more" if len(places) > 12 else "")


def _expanded(detector: Any, path: str) -> list[AttentionPlace]:
    """Return one place for each mechanism; several where it repeats."""
    module = detector.get_submodule(path)
    if type(module) is nn.Sequential:
        return [_place(f"{path}.{name}", child, path) for name, child in module.named_children()]
    return [_place(path, module, path)]


def _place(path: str, module: nn.Module, named: str) -> AttentionPlace:
    inner = module.attention if isinstance(module, IdentityStart) else module
    layer = named.split(".")[1]
    if ".attention" in named:
        parts = named.split(".")[2:-1]
        where = f"inside layer {layer}{' (' + '.'.join(parts) + ')' if parts else ''}"
    elif "+" in layer:
        where = f"after layer {_base(layer)}"
    else:
        where = f"in row {layer}"
    number = path.removeprefix(named).removeprefix(".")
    where += f", number {int(number) + 1}" if number else ""
    return AttentionPlace(path, type(inner).__name__, _base(layer), where, formula(inner), _kernels(inner))


def _kernels(module: nn.Module) -> tuple[int, ...]:
    """Return the kernel sizes of parallel branches, which selective kernels call `convs`."""
    branches = getattr(module, "convs", None)
    if not isinstance(branches, nn.ModuleList):
        return ()
    convolutions = [next((m for m in one.modules() if isinstance(m, nn.Conv2d)), None) for one in branches]
    return tuple((int(one.kernel_size[0]) - 1) * int(one.dilation[0]) + 1 for one in convolutions if one is not None)


def formula(module: nn.Module) -> str:
    """Return the formula in a mechanism's documentation, in one line; empty where there is none."""
    for paragraph in (type(module).__doc__ or "").split("\n\n")[1:]:
        text = " ".join(paragraph.split())
        if text.startswith(("Args:", "Shape:", "Source:")):
            break
        if " = " in text:
            return text.rstrip(".").removesuffix(", where f is one of")
    return ""
