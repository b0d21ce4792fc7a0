"""Attention entries → edits of a list of layers. No torch; the base's own names never move."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from models.catalog.channel_rules import Call
from models.errors import SpecError
from models.spec.attention_entries import Entry
from models.spec.layer import InnerAttention, Layer
from models.spec.selectors import select_layers

MAX_PLACED = 5000  # mechanisms of all entries together


@dataclass
class _Plan:
    """What the entries add to the base.

    Attributes:
        base: the base's layers by name.
        after: attention `at` each base layer, in the order in which it is applied.
        between: (source, reader) → attention on that connection, in order.
        inside: attention within each base layer.
        taken: names of all layers.
        aliases: alias → layer placed `at`, and the base layer that it follows.
    """

    base: dict[str, Layer]
    after: dict[str, list[Layer]] = field(default_factory=dict)
    between: dict[tuple[str, str], list[Layer]] = field(default_factory=dict)
    inside: dict[str, list[InnerAttention]] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    aliases: dict[str, tuple[Layer, str]] = field(default_factory=dict)
    placed: int = 0

    def count(self, entry: Entry) -> None:
        """Refuse a plan that grows beyond any use."""
        self.placed += entry.attention.repeats
        if self.placed > MAX_PLACED:
            raise SpecError(f"{entry.origin}: places more than {MAX_PLACED} mechanisms in all; select fewer layers")


def apply_entries(layers: Sequence[Layer], entries: Sequence[Entry]) -> list[Layer]:
    """Place all entries: `at` and `inside` in the order written, then `between`.

    Args:
        layers: the base, every reference resolved.
        entries: what to place.

    Returns:
        The layers in the order in which they run. Base layers keep their names; of what they read, only what now has
        attention after it is renamed.

    Raises:
        SpecError: if a selector matches nothing or a layer cannot take attention there.
    """
    plan = _Plan({layer.name: layer for layer in layers}, taken={layer.name for layer in layers})
    for entry in entries:
        if entry.form == "at":
            _plan_at(plan, layers, entry)
        elif entry.form == "inside":
            _plan_inside(plan, layers, entry)
    for entry in entries:
        if entry.form == "between":
            _plan_between(plan, layers, entry)
    return list(_assemble(plan, layers))


def _plan_at(plan: _Plan, layers: Sequence[Layer], entry: Entry) -> None:
    """Note attention after layers (and after what was placed there before); every reader sees the attended map."""
    for selector in entry.selectors:
        if isinstance(selector, str) and selector in plan.aliases:
            before, home = plan.aliases[selector]
            _append(plan, entry, plan.base[home], before)
            continue
        for target in select_layers(layers, [selector], entry.origin):
            _append(plan, entry, target, None)


def _append(plan: _Plan, entry: Entry, target: Layer, before: Layer | None) -> None:
    """Put new attention after the last at a base layer, or right after one that was placed there by name."""
    new = _new_layer(plan, target, entry)
    chain = plan.after.setdefault(target.name, [])
    chain.insert(chain.index(before) + 1 if before else len(chain), new)
    if entry.name:
        plan.aliases[entry.name] = (new, target.name)


def _plan_inside(plan: _Plan, layers: Sequence[Layer], entry: Entry) -> None:
    for target in select_layers(layers, entry.selectors, entry.origin):
        if target.section == "head" or target.attention is not None:
            raise SpecError(f"{entry.origin}: layer {target.name} ({target.module}) has no inside; use at")
        plan.count(entry)
        plan.inside.setdefault(target.name, []).append(InnerAttention(entry.attention, entry.where))


def _plan_between(plan: _Plan, layers: Sequence[Layer], entry: Entry) -> None:
    """Note attention on the connection to one reader or several; other readers keep the map that they read."""
    sources = select_layers(layers, entry.selectors[:1], entry.origin)
    if len(sources) != 1:
        raise SpecError(
            f"{entry.origin}: between starts at a single layer, but {entry.selectors[0]} matches {len(sources)}"
        )
    source, readers = sources[0], select_layers(layers, entry.selectors[1:], entry.origin)
    readers = sorted(readers, key=lambda layer: int(layer.name))
    for reader in readers:
        if source.name not in reader.reads:
            reads = ", ".join(reader.reads)
            raise SpecError(f"{entry.origin}: layer {reader.name} does not read layer {source.name}; it reads {reads}")
    chains = [plan.between.setdefault((source.name, reader.name), []) for reader in readers]
    if any([layer.name for layer in chain] != [layer.name for layer in chains[0]] for chain in chains):
        raise SpecError(f"{entry.origin}: these readers see different maps of layer {source.name} already; split them")
    new = _new_layer(plan, source, entry)
    for chain in chains:
        chain.append(new)


def _assemble(plan: _Plan, layers: Sequence[Layer]) -> Iterable[Layer]:
    """Yield the layers in running order, each with what it reads now."""
    seen: set[str] = set()
    for layer in layers:
        reads = []
        for source in layer.reads:
            current = _tail(plan, source)
            for new in plan.between.get((source, layer.name), ()):
                if new.name not in seen:  # with several readers it runs before the first
                    seen.add(new.name)
                    yield replace(new, reads=(current,))
                current = new.name
            reads.append(current)
        inside = (*layer.inside, *plan.inside.get(layer.name, ()))
        yield replace(layer, reads=tuple(reads), inside=inside) if inside or tuple(reads) != layer.reads else layer
        previous = layer.name
        for new in plan.after.get(layer.name, ()):
            yield replace(new, reads=(previous,))
            previous = new.name


def _tail(plan: _Plan, name: str) -> str:
    """Return the layer whose map stands for base layer `name`: itself, or the last attention placed `at` it."""
    chain = plan.after.get(name)
    return chain[-1].name if chain else name


def _new_layer(plan: _Plan, target: Layer, entry: Entry) -> Layer:
    """Return attention on the map of a base layer; what it reads is settled at the end."""
    if target.section == "head" or not isinstance(target.channels, int):
        what = "is the head" if target.section == "head" else "returns a list of maps"
        raise SpecError(
            f"{entry.origin}: layer {target.name} ({target.module}) {what}; "
            "place attention at a layer with one output map"
        )
    plan.count(entry)
    attention = entry.attention
    first = name = f"{target.name}+{attention.module.rpartition('.')[2]}"  # torch refuses dots in names
    number = 1
    while name in plan.taken:
        number += 1
        name = f"{first}-{number}"
    plan.taken.add(name)
    if entry.name and (entry.name in plan.aliases or any(entry.name == old.alias for old in plan.base.values())):
        raise SpecError(f"{entry.origin}: the name '{entry.name}' is taken; names are unique")
    return Layer(
        name=name,
        module=attention.module,
        args=(dict(attention.kwargs),),
        reads=(target.name,),
        reads_list=False,
        number=attention.repeats,
        section=target.section,
        call=Call((), target.channels, target.call.stride, attention.repeats),
        alias=entry.name,
        attention=attention,
        placed=entry.form,
        origin=entry.origin,
    )
