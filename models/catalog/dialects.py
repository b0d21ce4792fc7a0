"""What a word of a model YAML means: the structures that it may stand for, and which of them is built.

    structures("CBAM")                              the known ones, most frequent first
    choose("CBAM", Dialect("yolov5"), as_forks=True)  in the order in which a file of YOLOv5's family means them

The table is `models/catalog/dialect_table.py`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from attention import ATTENTION
from attention.registry import options as defaults_of
from attention.registry import variant_options
from models.catalog.dialect_table import ORDERS, PLACEMENTS, STRUCTURES, Structure
from models.catalog.mechanisms import canonical, is_mechanism
from models.errors import short

FAMILIES: dict[str, tuple[str, ...]] = {
    "paper": ("paper",),
    "yolov5": ("forks", "paper"),
    "yolov7": ("forks", "paper"),
    "ultralytics": ("ultralytics", "forks", "paper"),
}


@dataclass(frozen=True)
class Dialect:
    """What a description says about its words.

    Attributes:
        family: a key of `FAMILIES`: whose files write so.
        chosen: word or row number → name of a family or of a structure, which wins over the family.
    """

    family: str = "yolov5"
    chosen: Mapping[str | int, str] = field(default_factory=lambda: MappingProxyType({}))

    def said(self, word: str, row: int | None = None) -> str:
        """Return what is said about a word in a row, "" where nothing is; what is said of all words is `default`."""
        for key in (row, word, canonical(word) if is_mechanism(word) else None):
            if key is not None and key in self.chosen:
                return self.chosen[key]
        return ""

    @property
    def default(self) -> str:
        """What is said about all words; "" where nothing is."""
        return self.chosen.get("default", "")


def is_word(word: str) -> bool:
    """Tell whether a row of this name is attention."""
    return word in STRUCTURES or is_mechanism(word)


def structures(word: str) -> tuple[Structure, ...]:
    """Return what a word may mean, most frequent first; one structure for a word without a dialect.

    Raises:
        ValueError: with near names, if nothing has this name.
    """
    if word in STRUCTURES:
        return STRUCTURES[word]
    name = canonical(word)
    if name in STRUCTURES:
        return STRUCTURES[name]
    return (_only(word, name),)


@lru_cache(maxsize=512)
def _only(word: str, name: str) -> Structure:
    positional = tuple(defaults_of(name)) if name in ATTENTION else ()
    return Structure("paper", name, variant_options(word), ORDERS.get(name, (positional,)))


def choose(word: str, dialect: Dialect, *, as_forks: bool, row: int | None = None) -> list[Structure]:
    """Return the structures that a word may mean here, the most likely first.

    Args:
        word: name in the row or the entry.
        dialect: of the description.
        as_forks: whether the row is written as forks write it, rather than in this project's own notation.
        row: number of the row, for a choice by row.

    Raises:
        ValueError: if what the description says about the word names no structure of it.
    """
    known = structures(word)
    said = dialect.said(word, row)
    if said:
        return [structure_named(word, said)]
    order = (dialect.default, *FAMILIES[dialect.family])
    if dialect.family in ("yolov5", "yolov7") and not as_forks and not dialect.default:
        order = FAMILIES["paper"]
    return sorted(known, key=lambda s: order.index(s.name) if s.name in order else len(order))


def structure_named(word: str, said: str) -> Structure:
    """Return the structure of a word that a `dialect:` names, itself or by its family.

    Raises:
        ValueError: naming the structures that there are.
    """
    known = structures(word)
    for name in (said, *FAMILIES.get(said, ())):
        for structure in known:
            if structure.name == name:
                return structure
    if said in FAMILIES:
        return known[0]
    if said == "paper" or (len(known) == 1 and said in names_of_structures()):
        return known[0]
    raise ValueError(f"{word} has no dialect {short(said)}; it has {', '.join(s.name for s in known)}")


@lru_cache(maxsize=1)
def names_of_structures() -> frozenset[str]:
    """Return every name that `dialect:` may say."""
    return frozenset(s.name for known in STRUCTURES.values() for s in known) | {*FAMILIES, *PLACEMENTS}


def read_positional(structure: Structure, values: Sequence[Any]) -> tuple[dict[str, Any], list[str]] | None:
    """Return the options that positional arguments after the channels mean, and a phrase for each.

    Args:
        structure: what they belong to.
        values: as written, literals evaluated; None keeps the default.

    Returns:
        None if no order of the popular code takes these values.
    """
    if not values:
        return {}, []
    for order in structure.orders:
        if len(values) <= len(order) and all(_takes(structure, o, v) for o, v in zip(order, values, strict=False)):
            read = {o.partition("=")[0]: v for o, v in zip(order, values, strict=False) if v is not None}
            unused = {o for o in order if o.startswith("~") and "=" not in o}  # one with a domain chose the structure
            phrases = [
                f"{short(v)} is {o.lstrip('~')}{', which that code does not use' if o in unused else ''}"
                for o, v in read.items()
            ]
            return {o: v for o, v in read.items() if not o.startswith("~")}, phrases
    return None


def _takes(structure: Structure, option: str, value: object) -> bool:
    """Tell whether a value can stand for an option in a row."""
    name, _, domain = option.partition("=")
    if value is None:
        return True
    if domain:
        return str(value) in domain.split("|")
    if name.startswith("~"):
        return isinstance(value, bool | int | float | str)
    if name in ("reduction", "heads"):
        return (_is_number(value) and value > 1) or (name == "heads" and value == 1)  # type: ignore[operator]
    if name == "kernel_size":
        return isinstance(value, int) and not isinstance(value, bool) and value % 2 == 1 and 0 < value < 64
    default = defaults_of(structure.module).get(name) if structure.module in ATTENTION else None
    if isinstance(default, bool):
        return isinstance(value, bool)
    if isinstance(default, str):
        return isinstance(value, str)
    if isinstance(default, tuple | list):
        return isinstance(value, list | tuple)
    return _is_number(value) and (isinstance(default, float) or isinstance(value, int)) and value > 0  # type: ignore[operator]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def read_dialect(value: object, family: str, is_fused: Callable[[str], bool], rows: int) -> Dialect:
    """Check what a description says under `dialect`.

    Args:
        value: a family, a structure's name, or a mapping of words and row numbers to them; None where it says nothing.
        family: whose files write so, as far as the description shows.
        is_fused: whether a word is a block with attention built in.
        rows: how many rows there are.

    Raises:
        ValueError: naming what is not known, and what there is.
    """
    if value is None:
        return Dialect(family)
    said = {"default": value} if isinstance(value, str) else value
    if not isinstance(said, Mapping):
        raise ValueError(f"dialect is {short(value)}, expected {_EXPECTED}")
    chosen: dict[str | int, str] = {}
    for key, name in said.items():
        row = int(key) if isinstance(key, str) and key.isdecimal() and len(key) < 6 else key
        if isinstance(row, bool) or not ((isinstance(row, int) and 0 <= row < rows) or _is_known(row, is_fused)):
            raise ValueError(f"dialect names {short(key)}, which is no row and no word of attention; {_EXPECTED}")
        if not isinstance(name, str) or not all(part in names_of_structures() for part in name.split("+")):
            there = ", ".join(sorted(names_of_structures()))
            raise ValueError(f"dialect of {short(key)} is {short(name)}; there are {there}")
        chosen[row] = name
    return Dialect(chosen["default"] if chosen.get("default") in FAMILIES else family, chosen)


_EXPECTED = "a name such as paper, yolov5 or ultralytics, or a mapping such as {CBAM: forks, 9: paper}"


def _is_known(key: object, is_fused: Callable[[str], bool]) -> bool:
    return isinstance(key, str) and (key == "default" or is_word(key) or is_fused(key))
