"""An attention row of a model YAML → the mechanism that it means.

This project's own notation is `[]`, `[{option: value}]` or `{option: value}`, with the channels in front or not. Forks
write `[channels]`, `[channels, option, …]`, `[option, …]` or `[channels, channels]`; each mechanism's options stand in
the order of its popular code.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from models.catalog.channel_rules import Reads, Scale
from models.catalog.dialect_shapes import count_parameters
from models.catalog.dialect_table import WITHOUT_CHANNELS, Structure
from models.catalog.dialects import Dialect, choose, read_positional, structure_named, structures
from models.catalog.mechanisms import option_example
from models.catalog.mechanisms import options as options_of
from models.errors import short
from models.spec.layer import Attention
from models.spec.row import Row

MOST_OPTION = 64  # a first number above it that is not the channels is a mistake in the channels, not an option


@dataclass(frozen=True)
class Reading:
    """What a row of attention means.

    Attributes:
        structure: the layer.
        options: written in the row, by name.
        identity: whether it starts as the identity; None where the row does not say so.
        note: what was understood, "" where the row is in this project's own notation.
    """

    structure: Structure
    options: Mapping[str, Any]
    identity: bool | None
    note: str


def read_attention(row: Row, reads: Reads, scale: Scale, dialect: Dialect, literal: Callable[[object], Any]) -> Reading:
    """Read an attention row.

    Args:
        row: as written.
        reads: what it reads.
        scale: of the model.
        dialect: of the description.
        literal: evaluates a word of a row.

    Raises:
        ValueError: for an argument that no known structure of the word takes, saying what to write.
    """
    channels, _ = reads.one()
    values = [] if isinstance(row.args, dict) else [literal(arg) for arg in row.args]
    named: dict[str, Any] = dict(row.args) if isinstance(row.args, dict) else {}
    own = isinstance(row.args, dict) or not values
    if values and isinstance(values[-1], dict):
        own, named = True, dict(values.pop())
    if dialect.family == "ultralytics" and not named:
        own = False  # forks of ultralytics write [] as well
    identity, said = named.pop("identity", None), named.pop("dialect", None)
    if identity is not None and not isinstance(identity, bool):
        raise ValueError(f"identity is {short(identity)}, expected true or false")
    if said is not None:
        candidates = [structure_named(row.module, str(said))]
    else:
        candidates = choose(row.module, dialect, as_forks=not own, row=row.index)
    if len(candidates) == 1 and candidates[0].block:  # the one that may return other channels than it reads
        read = read_positional(candidates[0], values[1:])
        if read is None:
            raise ValueError(_refusal(row.module, candidates[0], values, channels, scale))
        reading = Reading(candidates[0], {**read[0], **named}, identity, "")
        return replace(reading, note=_note(row.module, reading, channels, read[1], False))
    fitting = [s for s in candidates if _has_options(s, named)] or candidates[:1]
    structure, options, phrases = _match(row.module, fitting, values, channels, scale, own)
    twice = sorted(set(options) & set(named))
    if twice:
        raise ValueError(f"{twice[0]} stands twice, by position and by name; write it once")
    reading = Reading(structure, {**options, **named}, identity, "")
    return replace(reading, note=_note(row.module, reading, channels, phrases, own or dialect.family == "paper"))


def _has_options(structure: Structure, named: Mapping[str, Any]) -> bool:
    """Tell whether a structure takes all options that a row writes by name."""
    return not named or (not structure.block and set(named) <= set(options_of(structure.module)))


def _match(
    word: str, candidates: list[Structure], values: list[Any], channels: int, scale: Scale, own: bool
) -> tuple[Structure, dict[str, Any], list[str]]:
    """Return the first structure that takes the values, its options, and what was understood."""
    bare = not own and values != [] and candidates[0].module in WITHOUT_CHANNELS
    for rest, phrases in [(values, [])] if bare else _splits(values, channels, scale, own):
        for structure in candidates:
            read = read_positional(structure, rest)
            if read is not None:
                return structure, read[0], [*phrases, *read[1]]
    raise ValueError(_refusal(word, candidates[0], values, channels, scale))


def _splits(values: list[Any], channels: int, scale: Scale, own: bool) -> list[tuple[list[Any], list[str]]]:
    """Return the ways to take the channels off the front of a row, the most likely first."""
    if not values:
        return [([], [])]
    first = values[0]
    if isinstance(first, bool) or not isinstance(first, int):
        return [(values, [])]
    option: tuple[list[Any], list[str]] = (values, [])
    said = f"channels are inferred; {first} can be left out" if own else f"{first} is the channels, which are inferred"
    rest = values[1:]
    if rest and type(rest[0]) is int and rest[0] == first:
        rest, said = rest[1:], f"{first}, {first} are the channels in and out, which are inferred"
    if _scaled(first, scale) == channels:
        if first <= MOST_OPTION and not own:
            said += f" (the width makes {first} the map's {channels}; an option is written by name)"
        return [(rest, [said]), option]
    if first == channels and (own or first > MOST_OPTION):
        return [(rest, [said])]
    if first == channels:
        why = f"{first} is taken for an option although the map has {channels} channels, since rows write the channels "
        return [(values, [f"{why}before the width, where they would be {_scaled(first, scale)}"]), (rest, [said])]
    return [option] if 0 < first <= MOST_OPTION else []


def _scaled(channels: int, scale: Scale) -> int:
    """Return channels after the width; 0 where that is out of range."""
    try:
        return scale.channels(channels)
    except ValueError:
        return 0


def _refusal(word: str, structure: Structure, values: list[Any], channels: int, scale: Scale) -> str:
    """Say why no structure takes the values, and what to write."""
    known = tuple(options_of(structure.module)) if structure.module else ()
    taken = f"{word} takes {', '.join(known)}" if known else f"{word} takes no options"
    first = values[0]
    if isinstance(first, int) and not isinstance(first, bool):
        is_channels = channels in (first, _scaled(first, scale))
        if not is_channels:
            write = f"[] or an option by name ({taken})" if known else f"[] ({taken})"
            return f"{first} is not the number of channels ({channels}), which is inferred: write {write}"
        values = values[2:] if values[1:2] == [first] and len(values) > 2 else values[1:]
    names = [", ".join(option.lstrip("~").partition("=")[0] for option in order) for order in structure.orders]
    orders = " or ".join(f"[channels, {listed}]" for listed in names if listed)
    by_position = f"; by position it takes {orders}" if orders else ""
    found = short(values[0]) if values else short(first)
    example = option_example(structure.module) if structure.module else "but this one has none"
    return f"options of {word} are written by name, {example}; found {found}{by_position}; {taken}"


def _note(word: str, reading: Reading, channels: int, phrases: list[str], own: bool) -> str:
    """Return one line on what a row was understood as; "" for a row in this project's own notation."""
    known, built = structures(word), reading.structure
    said = "; ".join(phrases)
    if len(known) < 2 or (own and built.name == "paper"):
        return said
    others = [s for s in known if not _same(s, built, reading.options)]
    if not others:
        return said
    listed = ", ".join(_described(s, channels, reading.options) for s in others)
    return (
        f"{said + '; ' if said else ''}{word} is built as {_described(built, channels, reading.options)}; "
        f"it may also mean {listed}: choose with dialect: {{{word}: {others[0].name}}}"
    )


def _same(one: Structure, other: Structure, options: Mapping[str, Any]) -> bool:
    """Tell whether two structures are the same layer with the options of a row."""
    places = [(s.module, s.block, s.fill) for s in (one, other)]
    return places[0] == places[1] and {**one.options, **options} == {**other.options, **options}


def _described(structure: Structure, channels: int, options: Mapping[str, Any]) -> str:
    """Name a structure, with its parameters where it can be counted."""
    count = count_parameters(structure, channels, options)
    number = "" if count is None else f", {count:,} parameters"
    return f"{structure.name} ({structure.about}{number})"


def attention_of(reading: Reading, repeats: int, identity: bool, origin: str) -> Attention:
    """Return the mechanism of a reading."""
    structure = reading.structure
    starts = identity if reading.identity is None else reading.identity
    return Attention(structure.module, {**structure.options, **reading.options}, starts, repeats, origin)
