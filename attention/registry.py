"""Map names to constructors: a small registry, and the one of the attention mechanisms."""

import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from typing import Any, Generic, TypeVar

from torch import nn

from attention.option_types import wrong_type
from attention.timm_names import from_timm

T = TypeVar("T")
Entry = TypeVar("Entry")

# What names of one thing differ by: SEAttention, SE_Block, se_layer, SEModule; NONLocalBlock2D.
_FILLING = re.compile(r"attention|attn|att|block|layer|module|nchw|2d|[^a-z0-9]")
# Classes of other papers that only look like another spelling of a name here → what to write for them.
OTHER_CLASSES = {
    "ABlock": "YOLOv12's block is AreaAttention and two convolutions; A2C2f is built of it",
    "CALayer": "RCAN's channel attention is SE, coordinate attention is CoordAtt",
    "sSE": "SCSE has it as its spatial half, ParNet's is SSE",
}


def bare_name(name: str) -> str:
    """Return a name without what spellings of one thing differ by: case, `_`, Attention, Block, Layer, Module."""
    return _FILLING.sub("", name.lower())


class Registry(Generic[T]):
    """A dictionary that is filled by a decorator, refuses duplicates and suggests near names on a miss.

    Args:
        kind: what the entries are, as it reads in messages ("attention mechanism").
        loose: whether another spelling of a name (SE_Block for SE) finds the entry too, where it means one entry only.
    """

    def __init__(self, kind: str, *, loose: bool = False) -> None:
        self.kind = kind
        self.loose = loose
        self._bare: dict[str, set[str]] = {}
        self._entries: dict[str, T] = {}
        self._aliases: dict[str, str] = {}

    def register(self, name: str, *aliases: str) -> Callable[[Entry], Entry]:
        """Return a decorator that enters what it decorates under a name.

        Args:
            name: the canonical name.
            *aliases: other names that find the same entry.

        Returns:
            The decorator; it returns its argument unchanged.

        Raises:
            ValueError: if one of the names is taken.
        """

        def enter(entry: Entry) -> Entry:
            for new in (name, *aliases):
                if self.is_spelt(new):
                    raise ValueError(f"{self.kind} {new!r} is registered already, as {self.canonical(new)!r}")
            self._entries[name] = entry  # type: ignore[assignment]
            self._aliases.update(dict.fromkeys(aliases, name))
            for new in (name, *aliases):
                self._bare.setdefault(bare_name(new), set()).add(name)
            return entry

        return enter

    def names(self) -> list[str]:
        """Return the canonical names, sorted without regard to case."""
        return sorted(self._entries, key=str.lower)

    def aliases(self) -> dict[str, str]:
        """Return alias → canonical name."""
        return dict(self._aliases)

    def canonical(self, name: str) -> str:
        """Return the canonical form of a name or alias.

        Args:
            name: a name or an alias.

        Returns:
            The name under which the entry was registered.

        Raises:
            ValueError: if there is no such entry; the message suggests near names.
        """
        if name in self._entries:
            return name
        if name in self._aliases:
            return self._aliases[name]
        if self.loose and len(self._other_spelling(name)) == 1:
            return next(iter(self._other_spelling(name)))
        near = near_names(str(name), (*self._entries, *self._aliases))
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(self.names())}"
        raise ValueError(f"unknown {self.kind} {name!r}; {OTHER_CLASSES.get(name, hint)}")

    def is_spelt(self, name: object) -> bool:
        """Tell whether an entry or alias has exactly this name."""
        return name in self._entries or name in self._aliases

    def _other_spelling(self, name: object) -> set[str]:
        """Return the entries that a name means once what spellings differ by is left out."""
        bare = bare_name(name) if isinstance(name, str) and name not in OTHER_CLASSES else ""
        return {found for found in self._bare.get(bare, ()) if found in self._entries} if bare else set()

    def get(self, name: str) -> T:
        """Return the entry of a name or alias; same as indexing.

        Args:
            name: a name or an alias.

        Returns:
            What was registered.

        Raises:
            ValueError: if there is no such entry.
        """
        return self._entries[self.canonical(name)]

    def __getitem__(self, name: str) -> T:
        return self.get(name)

    def __contains__(self, name: object) -> bool:
        return self.is_spelt(name) or (self.loose and len(self._other_spelling(name)) == 1)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __len__(self) -> int:
        return len(self._entries)


def near_names(name: str, known: Iterable[str], count: int = 3, cutoff: float = 0.6) -> list[str]:
    """Return the known names nearest to a name, compared without what spellings of one thing differ by.

    Args:
        name: what was written.
        known: what there is.
        count: how many at most.
        cutoff: likeness from 0 to 1 that a near name needs.
    """
    by_bare: dict[str, str] = {}
    for word in known:
        by_bare.setdefault(bare_name(word) or word.lower(), word)
    bare = bare_name(name) or name.lower()
    return [by_bare[found] for found in get_close_matches(bare, by_bare, n=count, cutoff=cutoff)]


ATTENTION: Registry[type[nn.Module]] = Registry("attention mechanism", loose=True)


# Aliases that mean a mechanism with an option of its own.
VARIANTS: dict[str, dict[str, Any]] = {
    "PSA_s": {"order": "sequential"},
    "SequentialPolarizedSelfAttention": {"order": "sequential"},
}


def variant_options(name: str) -> dict[str, Any]:
    """Return the options that an alias stands for, in any spelling that finds it: psa_S for PSA_s.

    Args:
        name: a name or an alias.

    Returns:
        Option → value; nothing for a name that means a mechanism as it is.
    """
    if ATTENTION.is_spelt(name):
        return VARIANTS.get(name, {})
    bare = bare_name(name)
    return next((given for alias, given in VARIANTS.items() if bare_name(alias) == bare), {})


def options(name: str) -> dict[str, Any]:
    """Return the options of a mechanism with their defaults.

    Args:
        name: a name or an alias.

    Returns:
        Option → default, without `channels`.

    Raises:
        ValueError: if there is no such mechanism.
    """
    parameters = inspect.signature(ATTENTION[name]).parameters.values()
    return {p.name: p.default for p in parameters if p.name != "channels"}


def construct(name: str, channels: int, **kwargs: Any) -> nn.Module:
    """Construct a mechanism and turn every mistake in the arguments into one readable error.

    Args:
        name: a name or an alias.
        channels: C of input and output.
        **kwargs: options of the mechanism; timm's rd_ratio, rd_channels and gate_layer are taken for ours.

    Returns:
        The module.

    Raises:
        ValueError: for an unknown name, an unknown option or a value that the mechanism cannot take.
    """
    cls, allowed = ATTENTION[name], options(name)
    if isinstance(channels, bool) or not isinstance(channels, int) or channels < 1:
        raise ValueError(f"{name}: channels={channels!r}, expected a whole number of at least 1")
    kwargs = from_timm(name, channels, kwargs, allowed)
    for key in kwargs:
        if key not in allowed:
            near = get_close_matches(key, allowed, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise ValueError(f"{name} has no option {key!r}; {hint}it takes {', '.join(allowed) or 'no options'}")
    try:
        mechanism = cls(channels, **{**variant_options(name), **kwargs})
    except (TypeError, OverflowError, RuntimeError) as error:
        said = wrong_type(cls, kwargs)
        if said or isinstance(error, TypeError):
            raise ValueError(
                f"{name}: an option has a value of the wrong type ({said or _in_one_line(error)})"
            ) from error
        given = ", ".join(f"{key}={value!r}" for key, value in kwargs.items())
        raise ValueError(
            f"{name}: cannot be constructed with {given or 'these channels'}: {_in_one_line(error)}"
        ) from error
    if said := wrong_type(cls, kwargs):
        raise ValueError(f"{name}: an option has a value of the wrong type ({said})")
    return mechanism


def _in_one_line(error: Exception) -> str:
    """Return the first line of a message, which in torch's go on for pages."""
    return str(error).partition("\n")[0]
