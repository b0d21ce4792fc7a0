"""Model YAML → frozen ModelSpec: every reference resolved to a layer's name before anything is inserted."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from models.bases import describe
from models.entries import Entry, read_entries
from models.errors import SpecError
from models.layer import Layer
from models.placement import apply_entries
from models.rows import ANCHOR_HEADS, Row, Vocabulary, resolve_rows, split_rows
from models.rules import Scale

MAX_CLASSES = 100_000

# What a model YAML of YOLOv5, YOLOv7 or ultralytics says; other keys are left alone unless they look misspelt.
KEYS = frozenset(
    "nc names ch channels scales scale depth_multiple width_multiple anchors activation act inplace backbone head "
    "identity name end2end reg_max kpt_shape task yaml_file".split()
)


@dataclass(frozen=True)
class ModelSpec:
    """A resolved model.

    Attributes:
        label: file that it came from, for messages.
        name: short name, such as "yolov5n-cbam".
        layers: in the order in which they run; the last is the head.
        nc: number of classes.
        ch: channels of the image.
        anchors: per level, pairs of width and height in pixels; None for anchor-free heads.
        scale: the compound scaling that was applied.
        activation: name of the activation in Conv blocks, None for their default.
        yaml: self-contained description of plain types; `read_spec(spec.yaml)` gives this spec again.
        warnings: what was accepted but looks unusual.
    """

    label: str
    name: str
    layers: tuple[Layer, ...]
    nc: int
    ch: int
    anchors: tuple[tuple[float, ...], ...] | None
    scale: Scale
    activation: str | None
    yaml: Mapping[str, Any]
    warnings: tuple[str, ...] = ()

    @property
    def head(self) -> Layer:
        """The detection head."""
        return self.layers[-1]

    @property
    def has_anchors(self) -> bool:
        """Whether the head predicts on anchors (YOLOv5, YOLOv7) rather than free of them."""
        return self.anchors is not None

    def layer(self, name: str) -> Layer:
        """Return the layer of a name.

        Raises:
            KeyError: if there is none.
        """
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise KeyError(name)


def read_spec(
    cfg: str | Path | Mapping[str, Any],
    attention: Sequence[str | Mapping[str, Any]] = (),
    *,
    nc: int | None = None,
    ch: int | None = None,
    identity: bool | None = None,
) -> ModelSpec:
    """Read a model YAML, resolve its references and place its attention.

    Args:
        cfg: path or name of a YAML ("yolov5s", "cfg/attention/yolov5n-cbam.yaml", "ultralytics/yolo11n.yaml"), or its
            content.
        attention: further placements, "CBAM@neck.P3,neck.P4" or mappings as in the YAML's attention section.
        nc: number of classes instead of the description's.
        ch: channels of the image instead of the description's.
        identity: whether placed attention starts as the identity, instead of what the description says.

    Raises:
        SpecError: one line with file, row and remedy, for whatever does not fit.
    """
    description = describe(cfg)
    data, label = description.data, description.label
    entries = list(description.entries)
    if isinstance(attention, str):
        attention = [attention]
    entries += [(entry, f"attention[{i}] {str(entry)[:120]}") for i, entry in enumerate(attention)]
    if nc is not None:
        data = {key: value for key, value in data.items() if key != "names"} | {"nc": nc}
    if ch is not None:
        data["ch"] = ch
    if identity is not None:
        data["identity"] = identity
        entries = [({**e, "identity": identity} if isinstance(e, Mapping) else e, at) for e, at in entries]
    return resolve(data, label, entries)


def resolve(data: dict[str, Any], label: str, places: Sequence[tuple[object, str]] = ()) -> ModelSpec:
    """Resolve a self-contained description; see `read_spec`.

    Args:
        data: model description without `base` and `attention`.
        label: file, for messages.
        places: attention entries, each with the position to name in messages.
    """
    _check_keys(data, label)
    for key in ("backbone", "head"):
        if key not in data:
            raise SpecError(f"{label}: has no '{key}'; a model YAML has backbone and head, an overlay has base")
    nc = _count(data, "nc", label, MAX_CLASSES, 80)
    ch = _count(data, "ch", label, 64, _count(data, "channels", label, 64, 3))
    names = data.get("names")
    if names is not None and not isinstance(names, list | dict):
        raise SpecError(f"{label}: names is {str(names)[:80]}, expected a list such as [cat, dog]")
    if names is not None and len(names) != nc:
        raise SpecError(f"{label}: nc is {nc}, but {len(names)} names are given; make them agree")
    scale = _scale(data, label)
    identity = data.get("identity", False)
    if not isinstance(identity, bool):
        raise SpecError(f"{label}: identity is {identity!r}, expected true or false")
    rows = split_rows(data, label)
    anchors = _anchors(data, rows[-1], label)
    words = Vocabulary(nc, [list(level) for level in anchors] if anchors else None, ch, scale, identity)
    layers = resolve_rows(rows, words)
    if anchors is not None:
        _check_anchor_head(layers, anchors)
    entries = read_entries(places, identity)
    plain = _plain(data, nc, ch, entries)
    placed = apply_entries(layers, entries)
    return ModelSpec(
        label=label,
        name=plain["name"],
        layers=tuple(placed),
        nc=nc,
        ch=ch,
        anchors=anchors,
        scale=scale,
        activation=_activation(data, label),
        yaml=plain,
        warnings=tuple(_warnings(rows, layers, words)),
    )


def _plain(data: Mapping[str, Any], nc: int, ch: int, entries: Sequence[Entry]) -> dict[str, Any]:
    """Return the description that a checkpoint stores."""
    kept = {
        str(key): value for key, value in data.items() if key not in {"attention", "yaml_file", "channels", "names"}
    }
    kept.update({"nc": nc, "ch": ch})
    if entries:
        kept["attention"] = [entry.to_dict() for entry in entries]
    return kept


def _check_keys(data: Mapping[str, Any], label: str) -> None:
    """Refuse what looks like a misspelt setting, and rows in a section that nothing reads."""
    for key in data:
        if key in KEYS:
            continue
        value = data[key]
        if isinstance(value, list) and any(isinstance(row, list) and len(row) == 4 for row in value):
            raise SpecError(f"{label}: rows in '{key}' are not read; rows stand in backbone, then head")
        near = get_close_matches(str(key), KEYS, n=1, cutoff=0.8)
        if near:
            raise SpecError(f"{label}: unknown key '{key}'; did you mean {near[0]}?")


def _count(data: Mapping[str, Any], key: str, label: str, most: int, default: int) -> int:
    value = data.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise SpecError(f"{label}: {key} is {value!r}, expected an integer from 1 to {most}")
    return value


def _scale(data: Mapping[str, Any], label: str) -> Scale:
    """Return the scaling that the description asks for: a letter of `scales`, or depth_multiple and width_multiple."""
    scales = data.get("scales")
    letter = data.get("scale") or ""
    if not isinstance(letter, str):
        raise SpecError(f"{label}: scale is {letter!r}, expected a letter such as n")
    if scales is None:
        depth, width = (_factor(data.get(key, 1.0), key, label) for key in ("depth_multiple", "width_multiple"))
        return Scale(depth, width, math.inf, letter)
    if not isinstance(scales, dict) or not scales:
        raise SpecError(f"{label}: scales is {scales!r}, expected a mapping such as {{n: [0.33, 0.25]}}")
    if not letter:
        letter = next(iter(scales))  # as ultralytics does
    if letter not in scales:
        raise SpecError(f"{label}: scale is {letter!r}; there are {', '.join(map(str, scales))}")
    values = scales[letter]
    if not isinstance(values, list) or len(values) not in (2, 3):
        raise SpecError(
            f"{label}: scales.{letter} is {values!r}, expected [depth, width] or [depth, width, max_channels]"
        )
    depth, width = (_factor(value, f"scales.{letter}", label) for value in values[:2])
    most = _factor(values[2], f"scales.{letter}", label, 65_536) if len(values) == 3 else math.inf
    return Scale(depth, width, most, str(letter))


def _factor(value: object, key: str, label: str, most: float = 100) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= most:
        raise SpecError(f"{label}: {key} is {value!r}, expected a number above 0 and at most {most}")
    return float(value)


def _anchors(data: Mapping[str, Any], head: Row, label: str) -> tuple[tuple[float, ...], ...] | None:
    """Return the anchors per level in pixels, None for a head without.

    The head's row says which: `[nc, anchors]` those of the file, `[nc, [[10, 13, …], …]]` its own, `[nc]` none.
    """
    if head.module not in ANCHOR_HEADS or not isinstance(head.args, list):
        return None
    asked = head.args[1] if len(head.args) > 1 else None
    anchors = data.get("anchors") if asked == "anchors" else asked
    if asked == "anchors" and anchors is None:
        raise SpecError(f"{label}: the head asks for anchors, but the file has no 'anchors'")
    if asked is None:
        if data.get("anchors") is not None and head.module == "Detect":
            raise head.error(
                "the file has anchors, which the head does not name: write [nc, anchors], "
                "or remove them for an anchor-free head"
            )
        return None
    if isinstance(anchors, int) and not isinstance(anchors, bool) and 1 <= anchors <= 100:
        # A bare number, as YOLOv5 reads it: so many placeholders a level, for autoanchor to replace.
        levels = len(head.source) if isinstance(head.source, list) else 1
        sizes = [[2.0 ** (4 + min(level, 8)) * (k + 1) for k in range(anchors)] for level in range(levels)]
        return tuple(tuple(size for size in level for _ in "wh") for level in sizes)
    if not isinstance(anchors, list) or not all(isinstance(level, list) and level for level in anchors) or not anchors:
        raise SpecError(
            f"{label}: anchors is {str(anchors)[:80]}, expected a list of width, height pairs for each level"
        )
    lengths = {len(level) for level in anchors}
    numbers = [value for level in anchors for value in level]
    good = all(isinstance(v, int | float) and not isinstance(v, bool) and 0 < v < 1e6 for v in numbers)
    if len(lengths) != 1 or lengths.pop() % 2 or not good:
        raise SpecError(
            f"{label}: anchors need the same even number of positive values at each level: {str(anchors)[:120]}"
        )
    return tuple(tuple(float(value) for value in level) for level in anchors)


def _check_anchor_head(layers: Sequence[Layer], anchors: Sequence[Sequence[float]]) -> None:
    head = layers[-1]
    expected = len(anchors) * (2 if "Aux" in head.module else 1)
    if len(head.reads) != expected:
        raise SpecError(
            f"{head.origin}: reads {len(head.reads)} maps, but there are anchors for {len(anchors)} levels: "
            f"{expected} maps are expected"
        )
    by_name = {layer.name: layer for layer in layers}
    strides = [by_name[name].stride for name in head.reads[: len(anchors)] if name in by_name]
    known = [stride for stride in strides if stride is not None]
    if len(set(known)) != len(known) or any(stride != int(stride) for stride in known):
        raise SpecError(
            f"{head.origin}: reads maps of strides {', '.join(map(str, strides))}; "
            "expected one map of each stride, such as 8, 16, 32"
        )


def _activation(data: Mapping[str, Any], label: str) -> str | None:
    value = data.get("activation", data.get("act"))
    if value is not None and not isinstance(value, str):
        raise SpecError(f"{label}: activation is {value!r}, expected a name such as nn.SiLU()")
    return value


def _warnings(rows: Sequence[Any], layers: Sequence[Layer], words: Vocabulary) -> list[str]:
    """Name the rows in which channels of an attention were written by hand."""
    found = []
    for row, layer in zip(rows, layers, strict=True):
        if layer.attention and isinstance(row.args, list) and row.args and isinstance(row.args[0], int):
            found.append(f"{row.origin}: channels are inferred; {row.args[0]} can be left out")
    return found
