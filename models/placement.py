"""Attention entries → edits of a list of layers. No torch; the base's own names never move."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from attention import ATTENTION
from models.errors import SpecError
from models.layer import Attention, InnerAttention, Layer
from models.rows import suggestion
from models.rules import Call
from models.selectors import select

FORMS = ("at", "inside", "between")
KEYS = ("module", *FORMS, "where", "args", "name", "identity", "repeat")
MAX_ENTRIES = 500


@dataclass(frozen=True)
class Entry:
    """One attention entry.

    Attributes:
        form: "at", "inside" or "between".
        selectors: as written; for "between" the two ends.
        attention: the mechanism to place.
        where: "each" or "last", for "inside".
        name: alias of the new layer.
        origin: file and position, for messages.
    """

    form: str
    selectors: tuple[str | int, ...]
    attention: Attention
    where: str
    name: str | None
    origin: str

    def to_dict(self) -> dict[str, Any]:
        """Return the entry as a YAML would write it."""
        entry: dict[str, Any] = {"module": self.attention.module, self.form: list(self.selectors)}
        if self.form == "inside":
            entry["where"] = self.where
        if self.attention.kwargs:
            entry["args"] = dict(self.attention.kwargs)
        if self.name:
            entry["name"] = self.name
        entry["identity"] = self.attention.identity
        if self.attention.repeats > 1:
            entry["repeat"] = self.attention.repeats
        return entry


def read_entries(entries: Sequence[object], label: str, identity: bool) -> list[Entry]:
    """Check and split the entries of an attention section.

    Args:
        entries: mappings as in a YAML, or "CBAM@neck.P3,neck.P4" as on the command line.
        label: file, for messages.
        identity: what entries that do not say so mean.

    Raises:
        SpecError: naming the entry.
    """
    if not isinstance(entries, list | tuple) or len(entries) > MAX_ENTRIES:
        raise SpecError(f"{label}: attention is {str(entries)[:80]}, expected a list of at most {MAX_ENTRIES} entries")
    read = []
    for index, entry in enumerate(entries):
        origin = f"{label} attention[{index}] {str(entry)[:120]}"
        mapping = _parse(entry, origin) if isinstance(entry, str) else entry
        if not isinstance(mapping, Mapping):
            raise SpecError(f"{origin}: expected {{module: CBAM, at: neck.P3}} or 'CBAM@neck.P3'")
        read.append(_read_entry(mapping, origin, identity))
    return read


def apply_entries(layers: Sequence[Layer], entries: Sequence[Entry]) -> list[Layer]:
    """Place all entries: `at` and `inside` in the order written, then `between`.

    Raises:
        SpecError: if a selector matches nothing or a layer cannot take attention there.
    """
    placed = list(layers)
    for entry in entries:
        if entry.form == "at":
            for target in select(layers, entry.selectors, entry.origin):
                placed = _insert_at(placed, target, entry)
        elif entry.form == "inside":
            for target in select(layers, entry.selectors, entry.origin):
                placed = _put_inside(placed, target, entry)
    for entry in entries:
        if entry.form == "between":
            placed = _insert_between(placed, layers, entry)
    return placed


def tail(layers: Sequence[Layer], name: str) -> Layer:
    """Return the layer whose output stands for base layer `name`: itself, or the last attention placed `at` it."""
    current = next(layer for layer in layers if layer.name == name)
    while True:
        after = next((layer for layer in layers if _stands_at(layer, name) and layer.reads == (current.name,)), None)
        if after is None:
            return current
        current = after


def _stands_at(layer: Layer, name: str) -> bool:
    return layer.placed == "at" and layer.name.startswith(f"{name}+")


def _insert_at(layers: list[Layer], target: Layer, entry: Entry) -> list[Layer]:
    """Insert after a layer (and after what was placed there before); every reader sees the attended map."""
    previous = tail(layers, target.name)
    new = _new_layer(layers, target, previous, entry)
    position = layers.index(previous) + 1
    readers = [_redirect(layer, previous.name, new.name) for layer in layers[position:]]
    return [*layers[:position], new, *readers]


def _insert_between(layers: list[Layer], base: Sequence[Layer], entry: Entry) -> list[Layer]:
    """Insert on one connection; other readers keep the map that they read."""
    ends = [select(base, (selector,), entry.origin) for selector in entry.selectors]
    for selector, found in zip(entry.selectors, ends, strict=True):
        if len(found) != 1:
            raise SpecError(f"{entry.origin}: between joins two single layers, but {selector} matches {len(found)}")
    source, reader = ends[0][0], next(layer for layer in layers if layer.name == ends[1][0].name)
    previous = tail(layers, source.name)
    if previous.name not in reader.reads:
        reads = ", ".join(name.split("+")[0] for name in reader.reads)
        raise SpecError(f"{entry.origin}: layer {reader.name} does not read layer {source.name}; it reads {reads}")
    new = _new_layer(layers, source, previous, entry)
    position = layers.index(reader)
    return [*layers[:position], new, _redirect(reader, previous.name, new.name), *layers[position + 1 :]]


def _put_inside(layers: list[Layer], target: Layer, entry: Entry) -> list[Layer]:
    if target.section == "head" or target.attention is not None:
        raise SpecError(f"{entry.origin}: layer {target.name} ({target.module}) has no inside; use at")
    inner = InnerAttention(entry.attention, entry.where)
    return [replace(layer, inside=(*layer.inside, inner)) if layer.name == target.name else layer for layer in layers]


def _new_layer(layers: Sequence[Layer], target: Layer, previous: Layer, entry: Entry) -> Layer:
    if target.section == "head" or not isinstance(previous.channels, int):
        what = "is the head" if target.section == "head" else "returns a list of maps"
        raise SpecError(
            f"{entry.origin}: layer {target.name} ({target.module}) {what}; "
            "place attention at a layer with one output map"
        )
    attention = entry.attention
    name = f"{target.name}+{attention.module}"
    taken = {layer.name for layer in layers}
    if name in taken:
        name = next(f"{name}-{i}" for i in range(2, len(taken) + 3) if f"{name}-{i}" not in taken)
    if entry.name and any(entry.name == layer.alias for layer in layers):
        raise SpecError(f"{entry.origin}: the name '{entry.name}' is taken; names are unique")
    return Layer(
        name=name,
        module=attention.module,
        args=(dict(attention.kwargs),),
        reads=(previous.name,),
        reads_list=False,
        number=attention.repeats,
        section=target.section,
        call=Call((), previous.channels, previous.call.stride, attention.repeats),
        alias=entry.name,
        attention=attention,
        placed=entry.form,
        origin=entry.origin,
    )


def _redirect(layer: Layer, old: str, new: str) -> Layer:
    if old not in layer.reads:
        return layer
    return replace(layer, reads=tuple(new if name == old else name for name in layer.reads))


def _parse(text: str, origin: str) -> dict[str, Any]:
    """Read "CBAM@neck.P3,neck.P4"."""
    module, at, selectors = text.partition("@")
    parts = [part.strip() for part in selectors.split(",")]
    if not at or not module.strip() or not all(parts):
        raise SpecError(f"{origin}: expected MECHANISM@SELECTOR[,SELECTOR …], such as CBAM@neck.P3,neck.P4")
    return {"module": module.strip(), "at": [int(part) if part.lstrip("-").isdigit() else part for part in parts]}


def _read_entry(entry: Mapping[Any, Any], origin: str, identity: bool) -> Entry:
    unknown = [str(key) for key in entry if key not in KEYS]
    if unknown:
        raise SpecError(f"{origin}: unknown key {', '.join(unknown)}; an entry has {', '.join(KEYS)}")
    form, selectors = _place(entry, origin)
    where, name = entry.get("where", "each"), entry.get("name")
    if where not in ("each", "last") or ("where" in entry and form != "inside"):
        raise SpecError(f"{origin}: where is {where!r}; it goes with inside and is 'each' or 'last'")
    if name is not None and (not isinstance(name, str) or not name.isidentifier()):
        raise SpecError(f"{origin}: name is {name!r}, expected a plain word")
    return Entry(form, selectors, _mechanism(entry, origin, identity), where, name, origin)


def _place(entry: Mapping[Any, Any], origin: str) -> tuple[str, tuple[str | int, ...]]:
    """Return which of at, inside, between the entry says, and its selectors."""
    forms = [form for form in FORMS if form in entry]
    if len(forms) != 1:
        found = " and ".join(forms) or "no place"
        raise SpecError(f"{origin}: says {found}; expected exactly one of {', '.join(FORMS)}")
    form = forms[0]
    selectors = entry[form] if isinstance(entry[form], list | tuple) else [entry[form]]
    if not selectors or not all(isinstance(s, str | int) and not isinstance(s, bool) for s in selectors):
        raise SpecError(f"{origin}: {form} is {entry[form]!r}, expected row numbers or selectors such as neck.P3")
    if form == "between" and len(selectors) != 2:
        raise SpecError(f"{origin}: between is {entry[form]!r}, expected two layers such as [4, 12]")
    return form, tuple(selectors)


def _mechanism(entry: Mapping[Any, Any], origin: str, identity: bool) -> Attention:
    """Return what the entry places."""
    module = entry.get("module")
    if not isinstance(module, str):
        raise SpecError(f"{origin}: module is {module!r}, expected a mechanism such as CBAM")
    if module not in ATTENTION:
        known = [*ATTENTION.names(), *ATTENTION.aliases()]
        raise SpecError(f"{origin}: unknown attention mechanism '{module}'{suggestion(module, known)}")
    args = entry.get("args") or {}
    if not isinstance(args, Mapping) or not all(isinstance(key, str) for key in args):
        raise SpecError(f"{origin}: args is {args!r}, expected options by name such as {{kernel_size: 7}}")
    starts, repeat = entry.get("identity", identity), entry.get("repeat", 1)
    if not isinstance(starts, bool):
        raise SpecError(f"{origin}: identity is {starts!r}, expected true or false")
    if isinstance(repeat, bool) or not isinstance(repeat, int) or not 1 <= repeat <= 100:
        raise SpecError(f"{origin}: repeat is {repeat!r}, expected an integer from 1 to 100")
    return Attention(ATTENTION.canonical(module), dict(args), starts, repeat, origin)
