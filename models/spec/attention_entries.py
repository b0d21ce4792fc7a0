"""The attention section of a YAML, and `--attention` on the command line → checked entries."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from attention.registry import variant_options
from models.catalog.dialect_table import Structure
from models.catalog.dialects import structure_named
from models.catalog.mechanisms import canonical, option_example
from models.errors import SpecError, short
from models.spec.layer import Attention
from models.spec.yaml_reader import parse_yaml

FORMS = ("at", "inside", "between")
KEYS = ("module", *FORMS, "where", "args", "dialect", "name", "identity", "repeat")
_OWN_KEYS = (
    "identity",
    "repeat",
    "name",
    "dialect",
)  # of the entry; in the braces of a command line they stand among options

# SE{reduction: 8}@inside/last:neck.C3,backbone.C3[0]
_TEXT = re.compile(
    r"""\s*(?P<module>[A-Za-z_][\w.]*)\s*(?P<options>\{.*?\})?\s*
    @\s*(?:(?P<form>at|inside|between)(?:/(?P<where>\w+))?\s*:)?
    (?P<places>[^{}@]+?)\s*(?P<more>\{.*\})?\s*""",
    re.VERBOSE | re.DOTALL,
)
_SYNTAX = "MECHANISM{option: value}@[inside: or between:]SELECTOR[,SELECTOR …], such as CBAM@neck.P3,neck.P4"


@dataclass(frozen=True)
class Entry:
    """One attention entry.

    Attributes:
        form: "at", "inside" or "between".
        selectors: as written; for "between" the source, then its readers.
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
        places: list[Any] = list(self.selectors)
        if self.form == "between":
            places = [places[0], places[1] if len(places) == 2 else places[1:]]
        entry: dict[str, Any] = {"module": self.attention.module, self.form: places}
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


def read_entries(entries: Iterable[tuple[object, str]], identity: bool) -> list[Entry]:
    """Check and split the entries of an attention section.

    Args:
        entries: mappings as in a YAML, or text as on the command line, each with the place to name in messages.
        identity: what entries that do not say so mean.

    Raises:
        SpecError: naming the entry.
    """
    read = []
    for entry, origin in entries:
        mapping = parse_text(entry, origin) if isinstance(entry, str) else entry
        if not isinstance(mapping, Mapping):
            raise SpecError(f"{origin}: expected {{module: CBAM, at: neck.P3}} or 'CBAM@neck.P3'")
        read.append(_read_entry(mapping, origin, identity))
    return read


def split_placements(text: str) -> list[str]:
    """Split placements that stand in one text, with spaces between them, before each `MECHANISM{options}@`.

    Quotes around one, as a command line wants them, are taken off.
    """
    parts = re.split(r"\s+(?=[\"']?[A-Za-z_][\w.]*\s*(?:\{[^{}]*\}\s*)?@)", text.strip())
    return [part[1:-1] if part[:1] in ("'", '"') and part[-1:] == part[:1] else part for part in parts]


def parse_text(text: str, origin: str) -> dict[str, Any]:
    """Read an entry in its short form.

    "CBAM@neck.P3,neck.P4" is `at`; "ECA@inside:neck.C3" and "ECA@inside/last:neck.C3" are `inside`;
    "SE@between:4,12" is the connection from 4 to 12 ("between:4,12,16": to 12 and 16). Options, and identity, repeat
    and name, stand in braces after the mechanism or at the end: "SE{reduction: 8}@4", "SE@4{identity: true}".

    Raises:
        SpecError: saying the form, if the text has another.
    """
    match = _TEXT.fullmatch(text) if len(text) <= 2000 else None
    places = [part.strip() for part in match["places"].split(",")] if match else []
    several = split_placements(text) if match is None else []
    if len(several) > 1 and all("@" in part for part in several):
        quoted = " ".join(f'"{part}"' for part in several)
        raise SpecError(f"{origin}: {len(several)} placements in one; give each in quotes of its own: {quoted[:200]}")
    if match is None or not all(places) or (match["options"] and match["more"]):
        raise SpecError(f"{origin}: expected {_SYNTAX}")
    braces = match["options"] or match["more"]
    options = parse_yaml(braces, origin) if braces else {}
    form = match["form"] or "at"
    selectors: list[Any] = [int(p) if re.fullmatch(r"-?\d{1,6}", p, re.ASCII) else p for p in places]
    if form == "between" and len(selectors) > 2:
        selectors = [selectors[0], selectors[1:]]
    entry: dict[str, Any] = {"module": match["module"], form: selectors}
    if match["where"]:
        entry["where"] = match["where"]
    entry.update({key: options.pop(key) for key in _OWN_KEYS if key in options})
    return {**entry, "args": options} if options else entry


def starting(entries: Sequence[str | Mapping[str, Any]], identity: bool) -> list[Mapping[str, Any]]:
    """Return entries, in the long form, that say whether they start as the identity; what they say already stays.

    Raises:
        SpecError: if one in short form cannot be read.
    """
    listed = [entries] if isinstance(entries, str) else entries
    read = [parse_text(e, f"attention[{i}] {e[:120]}") if isinstance(e, str) else e for i, e in enumerate(listed)]
    return [{"identity": identity, **entry} for entry in read]


def _read_entry(entry: Mapping[Any, Any], origin: str, identity: bool) -> Entry:
    unknown = [str(key) for key in entry if key not in KEYS]
    if unknown:
        raise SpecError(f"{origin}: unknown key {', '.join(unknown)}; an entry has {', '.join(KEYS)}")
    form, selectors = _places(entry, origin)
    where, name = entry.get("where", "each"), entry.get("name")
    if where not in ("each", "last") or ("where" in entry and form != "inside"):
        raise SpecError(f"{origin}: where is {short(where)}; it goes with inside and is 'each' or 'last'")
    if name is not None and (not isinstance(name, str) or not name.isidentifier() or form == "inside"):
        raise SpecError(
            f"{origin}: name is {short(name)}, expected a plain word (attention inside a block has no name)"
        )
    return Entry(form, selectors, _mechanism(entry, origin, identity), where, name, origin)


def _places(entry: Mapping[Any, Any], origin: str) -> tuple[str, tuple[str | int, ...]]:
    """Return which of at, inside, between the entry says, and its selectors."""
    forms = [form for form in FORMS if form in entry]
    if len(forms) != 1:
        found = " and ".join(forms) or "no place"
        raise SpecError(f"{origin}: says {found}; expected exactly one of {', '.join(FORMS)}")
    form = forms[0]
    selectors = entry[form] if isinstance(entry[form], list | tuple) else [entry[form]]
    if form == "between":
        if len(selectors) != 2:
            raise SpecError(
                f"{origin}: between is {short(entry[form])}, expected a layer and its reader, such as [4, 12]"
            )
        source, readers = selectors
        selectors = [source, *(readers if isinstance(readers, list | tuple) else [readers])]
    least = 2 if form == "between" else 1
    good = all(isinstance(s, str | int) and not isinstance(s, bool) for s in selectors)
    if len(selectors) < least or not good:
        raise SpecError(f"{origin}: {form} is {short(entry[form])}, expected row numbers or selectors such as neck.P3")
    return form, tuple(selectors)


def _mechanism(entry: Mapping[Any, Any], origin: str, identity: bool) -> Attention:
    """Return what the entry places."""
    module = entry.get("module")
    if not isinstance(module, str):
        raise SpecError(f"{origin}: module is {short(module)}, expected a mechanism such as CBAM")
    try:
        structure = _structure(module, entry.get("dialect"))
    except ValueError as error:
        raise SpecError(f"{origin}: {error}") from None
    args = entry.get("args") if entry.get("args") is not None else {}
    if not isinstance(args, Mapping) or not all(isinstance(key, str) for key in args):
        raise SpecError(
            f"{origin}: args is {short(args)}, expected options by name, {option_example(structure.module)}"
        )
    starts, repeat = entry.get("identity", identity), entry.get("repeat", 1)
    if not isinstance(starts, bool):
        raise SpecError(f"{origin}: identity is {short(starts)}, expected true or false")
    if isinstance(repeat, bool) or not isinstance(repeat, int) or not 1 <= repeat <= 100:
        raise SpecError(f"{origin}: repeat is {short(repeat)}, expected an integer from 1 to 100")
    return Attention(structure.module, {**structure.options, **args}, starts, repeat, origin)


def _structure(module: str, dialect: object) -> Structure:
    """Return what a name means in an entry: this project's mechanism, or what its `dialect` says.

    Raises:
        ValueError: if there is no such mechanism or dialect, or it is a block rather than attention on a map.
    """
    if dialect is None:
        name = canonical(module)
        return Structure("paper", name, variant_options(module))
    structure = structure_named(module, str(dialect))
    if structure.block:
        raise ValueError(f"dialect {short(dialect)} of {module} is a block; it can stand as a row only")
    return structure
