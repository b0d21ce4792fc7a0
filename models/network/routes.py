"""Which outputs each layer reads: kept beside the layers, so that nothing has to be written on a user's module."""

from collections.abc import Iterator, Sequence
from inspect import getattr_static
from typing import Any, NamedTuple

from torch import nn

from models.network.cost import count_parameters
from models.spec.layer import IMAGE
from models.spec.model_spec import ModelSpec

# Packages whose layers carry copies of their route. A plugin's or a library's module keeps its attributes to itself.
OWN_PACKAGES = ("ultralytics", "torch", "models", "attention")


class Route(NamedTuple):
    """What the forward pass needs to know about one layer.

    Attributes:
        position: of the layer, counted from 0.
        sources: positions of the layers that it reads, -1 for the one before it; a list where it takes a list of maps.
        module: name of its class, as in the model YAML.
    """

    position: int
    sources: int | list[int]
    module: str

    def inputs(self, before: Any, outputs: Sequence[Any]) -> Any:
        """Return what the layer is called with.

        Args:
            before: output of the layer before it, the image for the first one.
            outputs: outputs by position; None where no later layer reads it.
        """
        if isinstance(self.sources, int):
            return before if self.sources == -1 else outputs[self.sources]
        return [before if source == -1 else outputs[source] for source in self.sources]


def routes_of(spec: ModelSpec) -> tuple[Route, ...]:
    """Return the route of each layer, in order."""
    positions = {layer.name: i for i, layer in enumerate(spec.layers)}
    routes = []
    for i, layer in enumerate(spec.layers):
        read = [positions[name] if name != IMAGE else -1 for name in layer.reads]
        sources = [-1 if source == i - 1 else source for source in read]
        routes.append(Route(i, sources if layer.reads_list else sources[0], layer.module))
    return tuple(routes)


def kept_outputs(routes: Sequence[Route]) -> list[int]:
    """Return the positions of the outputs that a later layer reads, other than the next one as its only input."""
    sources = {source for route in routes for source in _listed(route)}
    return sorted(sources - {-1})


def _listed(route: Route) -> Iterator[int]:
    if isinstance(route.sources, int):
        yield route.sources
    else:
        yield from route.sources


def annotate(module: nn.Module, route: Route) -> None:
    """Copy a route to a layer under the names that ultralytics' parser uses: i, f, type, np.

    Tools of ultralytics that walk the layers themselves read them there; our own forward pass does not. Modules from
    elsewhere, and names that a module uses itself, are left alone.
    """
    if type(module).__module__.partition(".")[0] not in OWN_PACKAGES:
        return
    copies = {"i": route.position, "f": route.sources, "type": route.module, "np": count_parameters(module)}
    for name, value in copies.items():
        # `type` is a method of every nn.Module, which ultralytics' parser shadows too.
        if not hasattr(module, name) or getattr_static(module, name) is nn.Module.type:
            setattr(module, name, value)
