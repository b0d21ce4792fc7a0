"""A model under construction: a base, the attention placed on it, and what was before; as YAML and command line."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from engine.errors import UsageError
from models.errors import SpecError
from models.spec.attention_entries import parse_text
from models.spec.base_files import OVERLAY_KEYS, known_names
from models.spec.model_spec import ModelSpec, read_spec
from models.spec.selectors import stages
from models.spec.yaml_reader import parse_yaml
from playground.access import Access
from playground.errors import PageError

MAX_TEXT = 200  # characters of an option
STEPS = 100  # that can be undone
PLAIN = re.compile(r"[^\"$`\\!\n]*")  # text that double quotes hold in every shell
FILE = "model.yaml"  # as which a description is downloaded


@dataclass(frozen=True)
class Design:
    """A base and the attention placed on it.

    Attributes:
        description: {"base": name} with what an overlay may say besides, or a whole model description.
        entries: attention, in the long form of a YAML.
    """

    description: Mapping[str, Any] = field(default_factory=lambda: {"base": "yolov5n"})
    entries: tuple[Mapping[str, Any], ...] = ()

    @property
    def base(self) -> "Design":
        """The same without attention."""
        return replace(self, entries=())

    @property
    def base_name(self) -> str:
        """Name of the base where nothing else is said; empty otherwise."""
        return str(self.description["base"]) if set(self.description) == {"base"} else ""

    def placed(self, entry: Mapping[str, Any]) -> "Design":
        """Return the design with one more entry."""
        return replace(self, entries=(*self.entries, entry))

    def without(self, number: int) -> "Design":
        """Return the design without one of its entries."""
        return replace(self, entries=tuple(e for i, e in enumerate(self.entries) if i != number))

    def spec(self) -> ModelSpec:
        """Return the resolved model.

        Raises:
            SpecError: for whatever does not fit.
        """
        return read_spec(self.base_name or dict(self.description), [dict(entry) for entry in self.entries])


class History:
    """Remember designs, so that steps can be undone."""

    def __init__(self, design: Design | None = None) -> None:
        self.design = design or Design()
        self._before: list[Design] = []

    def take(self, design: Design) -> None:
        """Go on with another design."""
        if design != self.design:
            self._before = [*self._before, self.design][-STEPS:]
            self.design = design

    @property
    def can_undo(self) -> bool:
        """Whether there is a step before."""
        return bool(self._before)

    def undo(self) -> bool:
        """Go back one step; whether there was one."""
        if not self._before:
            return False
        self.design = self._before.pop()
        return True


def read_description(text: bytes | str, label: str, access: Access) -> Design:
    """Read a pasted or uploaded model YAML.

    Raises:
        SpecError: if it is no model description.
        UsageError: if its base is a file that the page may not read.
    """
    data = parse_yaml(text, label)
    base = data.get("base")
    if isinstance(base, str):
        _check_base(base, access)
    if "base" not in data and not {"backbone", "head"} <= set(data):
        raise SpecError(f"{label}: is no model description; it has neither base nor backbone and head")
    entries = data.pop("attention", None) or ()
    if not isinstance(entries, list | tuple):
        raise SpecError(f"{label}: attention is no list of entries; write [{{module: CBAM, at: neck.P3}}]")
    found = tuple(parse_text(e, label) if isinstance(e, str) else e for e in entries)
    design = Design(data if "base" in data else {**data, "yaml_file": label}, found)
    design.spec()
    return design


def named(text: str, access: Access) -> Design:
    """Return the design of a model's name, or of a YAML of this machine.

    Raises:
        SpecError, UsageError: if there is none, or it may not be read.
    """
    name = text.strip()
    _check_base(name, access)
    if name.endswith((".yaml", ".yml")) and not name.startswith("ultralytics/"):
        name = str(access.resolve(name)) if "/" in name or "\\" in name or Path(name).is_file() else name
    design = Design({"base": name})
    design.spec()
    return design


def _check_base(base: str, access: Access) -> None:
    """Refuse a base outside of the allowed folders."""
    if re.fullmatch(r"(ultralytics/)?[\w.-]+", base) and not Path(base).exists():
        return
    if base not in known_names():
        access.resolve(base)


def option_value(text: str) -> Any:
    """Read an option's value as a YAML would: 7, true, [3, 5], gelu.

    Raises:
        UsageError: if it is none.
    """
    if len(text) > MAX_TEXT or "\n" in text:
        raise PageError("long_option", most=MAX_TEXT)
    try:
        return parse_yaml(f"value: {text}", "option")["value"]
    except SpecError as error:
        raise UsageError(str(error)) from None


def selector_of(spec: ModelSpec, name: str) -> str | int:
    """Return how an entry names a base layer: its stage, where it ends one, else its row or name."""
    layers = [layer for layer in spec.layers if layer.is_base]
    for section in ("neck", "backbone"):
        for level, layer in stages(_unplaced(spec), section).items():
            if layer.name == name:
                return f"{section}.P{level}"
    row = next((i for i, layer in enumerate(layers) if layer.name == name), None)
    if row is None:
        raise PageError("not_of_base", name=name)
    return row


def _unplaced(spec: ModelSpec) -> list[Any]:
    """Return the layers of the base as they are read without what was placed."""
    return [
        replace(layer, reads=tuple(name.partition("+")[0] for name in layer.reads))
        for layer in spec.layers
        if layer.is_base
    ]


def overlay(design: Design) -> dict[str, Any]:
    """Return what the YAML of a design says."""
    said = {key: value for key, value in design.description.items() if key != "yaml_file"}
    return {**said, **({"attention": [dict(entry) for entry in design.entries]} if design.entries else {})}


def yaml_text(design: Design) -> str:
    """Return the YAML of a design, to be used with --cfg."""
    texts = [
        yaml.safe_dump(
            {key: value},
            sort_keys=False,
            default_flow_style=None if isinstance(value, list | dict) else False,
            width=120,
            allow_unicode=True,
        )
        for key, value in overlay(design).items()
    ]
    return f"# python train.py --cfg {FILE} --data DATA.yaml\n{''.join(texts)}"


def entry_text(entry: Mapping[str, Any]) -> str:
    """Return an entry as `--attention` takes it; empty where only a YAML can say it."""
    form = next((form for form in ("at", "inside", "between") if form in entry), "")
    listed = entry.get(form)
    places = list(listed) if isinstance(listed, list | tuple) else [listed]
    places = [place for one in places for place in (one if isinstance(one, list | tuple) else [one])]
    options = {**(entry.get("args") or {}), **{k: entry[k] for k in ("identity", "repeat", "name") if k in entry}}
    braces = yaml.safe_dump(options, default_flow_style=True, width=10**6).strip() if options else ""
    how = "" if form == "at" else f"{form}/last:" if entry.get("where") == "last" else f"{form}:"
    text = f"{entry.get('module')}{braces}@{how}{','.join(map(str, places))}"
    try:
        read = parse_text(text, "entry")
    except SpecError:
        return ""
    plain = {"args": {}, **{key: value for key, value in entry.items() if value != {}}}
    same = all(
        _plain(read.get(key, {} if key == "args" else None)) == _plain(value)
        for key, value in plain.items()
        if not (key == "where" and value == "each")
    )
    return text if same else ""


def _plain(value: Any) -> Any:
    """Return a value for comparison: one place and a list of one are the same."""
    if isinstance(value, list | tuple):
        return _plain(value[0]) if len(value) == 1 else [_plain(one) for one in value]
    return value


def command(design: Design, weights: str = "") -> str:
    """Return the command line that trains a design."""
    texts = [entry_text(entry) for entry in design.entries]
    known = design.base_name and all(texts) and all(PLAIN.fullmatch(text) for text in texts)
    words = ["python train.py", f"--cfg {_quoted(design.base_name if known else FILE)}"]
    words += [f"--weights {_quoted(weights)}"] if weights else []
    if known and texts:
        words.append("--attention " + " ".join(f'"{text}"' for text in texts))
    return " ".join([*words, "--data data/digits.yaml"])


def _quoted(text: str) -> str:
    return text if re.fullmatch(r"[\w./+-]+", text) else f'"{text}"'


def is_overlay(design: Design) -> bool:
    """Tell whether a design says nothing but what an overlay may."""
    return set(design.description) <= OVERLAY_KEYS
