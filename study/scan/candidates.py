"""Expand mechanisms × places into candidates, and find where each touches the detector."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from engine.errors import UsageError
from models.catalog.mechanisms import build_mechanism
from models.network.attention_inside import places as inner_places
from models.network.detector import Detector
from models.spec.attention_entries import Entry, parse_text, read_entries
from models.spec.layer import IMAGE, Layer
from models.spec.selectors import select_layers

ROWS, INSIDES, CONNECTIONS = "rows", "insides", "connections"
MOST = 20_000  # candidates of one scan


@dataclass(frozen=True)
class Tap:
    """One map of the detector.

    Attributes:
        layer: name of the layer.
        source: which of the layer's inputs; None for its output.
        inner: which of the places inside the block; None for the layer itself.
        where: "each" or "last", for places inside.
        channels: of the map.
    """

    layer: str
    channels: int
    source: int | None = None
    inner: int | None = None
    where: str = ""


@dataclass(frozen=True)
class Place:
    """Where a mechanism can stand.

    Attributes:
        name: as --attention writes it: "17", "inside:13", "between:4,16".
        taps: the maps that it works on; several where a block repeats its unit.
    """

    name: str
    taps: tuple[Tap, ...]


@dataclass(frozen=True)
class Candidate:
    """One mechanism at one place.

    Attributes:
        mechanism: as written, "SE" or "SE{reduction: 8}".
        module: canonical name of the mechanism.
        options: of the mechanism.
        place: where it stands.
    """

    mechanism: str
    module: str
    options: Mapping[str, Any]
    place: Place

    @property
    def name(self) -> str:
        """How --attention writes it."""
        return f"{self.mechanism}@{self.place.name}"

    def build(self, identity: bool) -> nn.ModuleList:
        """Build the mechanism for every map of the place, with values drawn from torch's generator.

        Args:
            identity: behind a gate that is closed at the start.
        """
        return nn.ModuleList(
            build_mechanism(self.module, tap.channels, identity=identity, **self.options) for tap in self.place.taps
        )

    def __hash__(self) -> int:
        return hash(self.name)


def expand(
    model: Detector, mechanisms: Sequence[str], selectors: Sequence[str], origin: str
) -> tuple[list[Candidate], list[str]]:
    """Return all candidates, and why some combinations cannot be.

    Args:
        model: the detector as it will be scanned.
        mechanisms: as --attention writes them before the @.
        selectors: as it writes them after the @, or rows, insides, connections.
        origin: file, for messages.

    Raises:
        UsageError: if nothing is left, or there are too many.
        SpecError: if a selector or a mechanism is unknown.
    """
    found: dict[str, Place] = {}
    for selector in selectors:
        for place in _places(model, selector, origin):
            found.setdefault(place.name, place)
    candidates, left_out = [], []
    for text in mechanisms:
        attention = read_entries([(f"{text}@0", f"{origin}: mechanisms: {text[:120]}")], identity=True)[0].attention
        if attention.repeats > 1:
            raise UsageError(f"{origin}: mechanisms: {text[:120]}: repeat has no meaning in a scan; leave it out")
        shown = text.strip()
        for place in found.values():
            candidate = Candidate(shown, attention.module, dict(attention.kwargs), place)
            try:
                candidate.build(identity=True)
            except (ValueError, TypeError, RuntimeError) as error:
                left_out.append(f"{candidate.name}: {' '.join(str(error).split())[:200]}")
            else:
                candidates.append(candidate)
    if not candidates:
        reason = f"; {left_out[0]}" if left_out else "; write rows, insides, connections or selectors"
        raise UsageError(f"{origin}: no candidate can be placed{reason}")
    if len(candidates) > MOST:
        raise UsageError(f"{origin}: {len(candidates)} candidates, at most {MOST}; name fewer places")
    return candidates, left_out


def _places(model: Detector, selector: str, origin: str) -> Iterator[Place]:
    layers = [layer for layer in model.spec.layers if layer.is_base]
    single = [layer for layer in layers if layer.section != "head" and isinstance(layer.channels, int)]
    if selector == ROWS:
        yield from (_after(model, layer) for layer in single)
    elif selector == INSIDES:
        for layer in single:
            if layer.attention is None:
                try:
                    yield _inside(model, layer, "each")
                except ValueError:  # a layer without inside
                    continue
    elif selector == CONNECTIONS:
        yield from _connections(model, layers)
    else:
        entry = _entry(selector, origin)
        yield from _selected(model, layers, entry)


def _entry(selector: str, origin: str) -> Entry:
    """Read a selector as the command line does, by giving it some mechanism."""
    where = f"{origin}: places: {selector[:120]}"
    return read_entries([(parse_text(f"SE@{selector}", where), where)], identity=True)[0]


def _selected(model: Detector, layers: Sequence[Layer], entry: Entry) -> Iterator[Place]:
    if entry.form == "between":
        if len(entry.selectors) != 2:
            raise UsageError(f"{entry.origin}: a scan takes one reader at a time; write between:SOURCE,READER")
        source, reader = (select_layers(layers, [selector], entry.origin)[0] for selector in entry.selectors)
        yield _between(model, source, reader, entry.origin)
        return
    for layer in select_layers(layers, entry.selectors, entry.origin):
        if layer.section == "head" or not isinstance(layer.channels, int):
            raise UsageError(f"{entry.origin}: layer {layer.name} ({layer.module}) has no single output map")
        if entry.form == "at":
            yield _after(model, layer)
            continue
        try:
            yield _inside(model, layer, entry.where)
        except ValueError as error:
            raise UsageError(f"{entry.origin}: {error}") from None


def _after(model: Detector, layer: Layer) -> Place:
    """Return the place after a layer, and after attention that the base has there already."""
    placed = [other.name for other in model.spec.layers if other.placed == "at" and _home(other.name) == layer.name]
    return Place(layer.name, (Tap(placed[-1] if placed else layer.name, _single(layer)),))


def _inside(model: Detector, layer: Layer, where: str) -> Place:
    copies = block_copies(model, layer.name)
    channels = [count for copy in copies for _, count in inner_places(copy, where)]
    taps = tuple(Tap(layer.name, count, inner=number, where=where) for number, count in enumerate(channels))
    return Place(f"inside{'/last' if where == 'last' else ''}:{layer.name}", taps)


def block_copies(model: Detector, name: str) -> list[nn.Module]:
    """Return a layer's block, or its copies where the row repeats it."""
    block = model.model.get_submodule(name)
    return list(block) if type(block) is nn.Sequential else [block]


def _connections(model: Detector, layers: Sequence[Layer]) -> Iterator[Place]:
    """Yield the connections whose source has other readers too; else the place after the source is the same."""
    by_name = {layer.name: layer for layer in layers}
    readers: dict[str, list[Layer]] = {}
    for layer in layers:
        for read in layer.reads:
            if read != IMAGE:
                readers.setdefault(_home(read), []).append(layer)
    for name, reading in readers.items():
        source = by_name[name]
        if len(reading) > 1 and isinstance(source.channels, int):
            yield from (_between(model, source, reader, "connections") for reader in reading)


def _between(model: Detector, source: Layer, reader: Layer, origin: str) -> Place:
    reads = [_home(name) for name in model.spec.layer(reader.name).reads]
    if source.name not in reads:
        raise UsageError(
            f"{origin}: layer {reader.name} does not read layer {source.name}; it reads {', '.join(reads)}"
        )
    tap = Tap(reader.name, _single(source), source=reads.index(source.name))
    return Place(f"between:{source.name},{reader.name}", (tap,))


def _home(name: str) -> str:
    return name.partition("+")[0]


def _single(layer: Layer) -> int:
    if not isinstance(layer.channels, int):
        raise UsageError(f"layer {layer.name} ({layer.module}) has no single output map")
    return layer.channels
