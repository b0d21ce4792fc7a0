"""Read the variants of a study: named ones, and grids of mechanism × position."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from engine.errors import UsageError
from models import read_spec
from models.errors import SpecError, short
from models.spec.model_spec import ModelSpec

BASELINE = "baseline"
CONTROL = "~control"  # sk~control is the control of sk
_GRID_KEYS = ("mechanisms", "positions", "identity")
_VARIANT_KEYS = ("attention", "cfg", "identity", "train")

Entry = str | Mapping[str, Any]


@dataclass(frozen=True)
class Variant:
    """One model of a study.

    Attributes:
        name: in tables and folders.
        cfg: its own model YAML or overlay; empty for the study's.
        attention: placements on top of it, as for --attention or as in a YAML's attention section.
        identity: whether they start as the identity; None follows the YAML.
        train: flags of train.py in which its runs differ from the study's.
    """

    name: str
    cfg: str = ""
    attention: tuple[Entry, ...] = ()
    identity: bool | None = None
    train: Mapping[str, Any] = field(default_factory=dict)


def read_variants(content: Mapping[str, Any], path: Path) -> list[Variant]:
    """Return the baseline, then the variants of the keys `variants` and `grid`.

    Args:
        content: of the study's YAML.
        path: its file, for messages.

    Raises:
        UsageError: naming what is wrong.
    """
    default = _identity(content.get("identity"), f"{path}: identity")
    variants = [Variant(BASELINE)]
    named = content.get("variants") or {}
    if not isinstance(named, Mapping):
        raise UsageError(f"{path}: variants is {short(named)}, expected name: attention, such as se: SE@neck.P3")
    variants += [_named(str(name), value, default, path) for name, value in named.items()]
    variants += list(_grid(content.get("grid"), default, path))
    names = [variant.name for variant in variants]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise UsageError(f"{path}: the variant {short(twice)} stands there twice; '{BASELINE}' is the study's own")
    folded = [name.casefold() for name in names]
    alike = [name for name in names if folded.count(name.casefold()) > 1]
    if alike:
        raise UsageError(f"{path}: variants {', '.join(alike)} differ in capitals alone; to Windows both are one file")
    return variants


def _named(name: str, value: Any, default: bool | None, path: Path) -> Variant:
    where = f"{path}: variants.{name}"
    train: Any = {}
    if isinstance(value, Mapping) and "module" not in value:
        unknown = [key for key in value if key not in _VARIANT_KEYS]
        if unknown:
            raise UsageError(f"{where}: unknown key {short(unknown[0])}; a variant has {', '.join(_VARIANT_KEYS)}")
        cfg = value.get("cfg", "")
        if not isinstance(cfg, str):
            raise UsageError(f"{where}: cfg is {short(cfg)}, expected a model YAML")
        attention = _entries(value["attention"], where) if "attention" in value else ()
        identity = _identity(value["identity"], f"{where}.identity") if "identity" in value else default
        train = value.get("train") or {}
    elif isinstance(value, str) and re.search(r"\.ya?ml$", value):
        cfg, attention, identity = value, (), default
    else:
        cfg, attention, identity = "", _entries(value, where), default
    if not cfg and not attention and not train:
        raise UsageError(
            f"{where}: differs in nothing from the baseline; write SE@neck.P3, {{cfg: overlay.yaml}}, or "
            "{train: {attention_lr: 5}}"
        )
    if not cfg and not attention:
        identity = None  # the baseline's model as it is
    return Variant(name, cfg and _beside(cfg, path), attention, identity, train)


def _beside(cfg: str, path: Path) -> str:
    near = path.parent / cfg
    return str(near.resolve()) if near.is_file() else cfg


def _entries(value: Any, where: str) -> tuple[Entry, ...]:
    entries = value if isinstance(value, list) else [value]
    if not all(isinstance(entry, str | Mapping) for entry in entries):
        raise UsageError(f"{where}: expected SE@neck.P3 or {{module: SE, at: neck.P3}}, or a list of these")
    return tuple(entries)


def _identity(value: Any, where: str) -> bool | None:
    if value is not None and not isinstance(value, bool):
        raise UsageError(f"{where} is {short(value)}, expected true or false")
    return value


def _grid(value: Any, default: bool | None, path: Path) -> Iterator[Variant]:
    """Yield every mechanism at every position, named MECHANISM@POSITION."""
    if value is None:
        return
    where = f"{path}: grid"
    if not isinstance(value, Mapping) or not set(value) <= set(_GRID_KEYS):
        raise UsageError(f"{where} is {short(value)}, expected {', '.join(_GRID_KEYS)}")
    mechanisms, positions = (_labelled(value.get(key), f"{where}.{key}") for key in _GRID_KEYS[:2])
    identity = value.get("identity", default)
    starts = identity if isinstance(identity, list) else [identity]
    for (mechanism, text), (position, placement), start in product(mechanisms.items(), positions.items(), starts):
        suffix = f"-{'identity' if start else 'plain'}" if isinstance(identity, list) else ""
        name = f"{mechanism}@{position}{suffix}"
        yield Variant(name, "", (f"{text}@{placement}",), _identity(start, f"{where}.identity"))


def _labelled(value: Any, where: str) -> dict[str, str]:
    """Return label → text of a list (the text itself, made short, is the label) or of a mapping."""
    if isinstance(value, list) and all(isinstance(item, str | int) for item in value):
        value = {re.sub(r"[^A-Za-z0-9.]+", "-", str(item)).strip("-"): item for item in value}
    if not isinstance(value, Mapping) or not value:
        raise UsageError(f"{where} is {short(value)}, expected a list such as [SE, CBAM], or label: text")
    if not all(isinstance(text, str | int | list) for text in value.values()):
        raise UsageError(f"{where}: expected text, such as neck.P3,neck.P4")
    return {
        str(label): ",".join(map(str, text)) if isinstance(text, list) else str(text) for label, text in value.items()
    }


def model_of(variant: Variant, base: str | Mapping[str, Any], classes: int, file: Path) -> ModelSpec:
    """Return a variant's model.

    Raises:
        SpecError: naming the study's file and the variant, if it cannot be resolved.
    """
    try:
        return read_spec(variant.cfg or base, variant.attention, nc=classes, identity=variant.identity)
    except SpecError as error:
        raise SpecError(f"{file}: variants.{variant.name}: {error}") from None
