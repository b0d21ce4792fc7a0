"""What can be placed: mechanisms, their options and what these mean."""

from dataclasses import dataclass
from typing import Any

from attention.docs.__main__ import arguments, one_line, sections
from attention.registry import ATTENTION, options


@dataclass(frozen=True)
class Option:
    """An option of a mechanism.

    Attributes:
        name: as a YAML writes it.
        default: its value where nothing is said.
        meaning: what the documentation says.
    """

    name: str
    default: Any
    meaning: str


def names() -> list[str]:
    """Return the names of all mechanisms."""
    return ATTENTION.names()


def meaning(name: str) -> str:
    """Return what a mechanism does, in one sentence."""
    return one_line(sections(ATTENTION.canonical(name))[""])


def options_of(name: str) -> list[Option]:
    """Return the options of a mechanism.

    Raises:
        ValueError: if there is no such mechanism.
    """
    said = arguments(sections(ATTENTION.canonical(name)).get("Args", ""))
    return [Option(key, default, said.get(key, "")) for key, default in options(name).items()]
