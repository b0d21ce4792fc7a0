"""Blocks of our own, by the name that a model YAML uses; ultralytics' are in `models/catalog/ultralytics_layers.py`."""

from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeVar

from torch import nn

from attention.registry import Registry, near_names
from models.catalog.channel_rules import Rule

T = TypeVar("T", bound=type[nn.Module])


class Block(NamedTuple):
    """A block's class and its channel rule."""

    cls: type[nn.Module]
    rule: Rule


BLOCKS: Registry[Block] = Registry("block")


def register_block(rule: Rule, *aliases: str) -> Callable[[T], T]:
    """Decorate a block so that YAML rows can name it by its class name or an alias.

    Args:
        rule: its channel rule, see `models/catalog/channel_rules.py`.
        *aliases: further names.

    Raises:
        ValueError: if a name is taken.
    """

    def decorate(cls: T) -> T:
        BLOCKS.register(cls.__name__, *aliases)(Block(cls, rule))
        return cls

    return decorate


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return "; did you mean X?" where a known word is near, else where to look."""
    near = near_names(word, known)
    hint = (
        f"did you mean {' or '.join(near)}? (a class of your own needs --plugin FILE)"
        if near
        else "docs/yaml.md lists what there is, and a fork's own class is brought by --plugin FILE"
    )
    return f"; {hint}"
