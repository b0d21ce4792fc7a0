"""What stands around the rows of a model YAML: classes, channels, scale, anchors, activation."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from models.catalog.channel_rules import Scale
from models.catalog.dialects import Dialect, read_dialect
from models.catalog.fused_words import split_fused
from models.catalog.heads import HEADS, on_anchors
from models.errors import SpecError, short
from models.spec.module_settings import read_module_settings
from models.spec.resolve import RowContext
from models.spec.row import Row, split_rows

MAX_CLASSES = 100_000

# What a model YAML of YOLOv5, YOLOv7 or ultralytics says; other keys are left alone unless they look misspelt.
KEYS = frozenset(
    "nc names ch channels scales scale depth_multiple width_multiple anchors activation act inplace backbone head "
    "identity dialect name end2end reg_max kpt_shape task yaml_file batch_norm modules".split()
)


@dataclass(frozen=True)
class Settings:
    """A description's rows, split but not resolved, and what they are resolved with.

    Attributes:
        rows: of backbone and head.
        context: what their arguments can name.
        anchors: per level, pairs of width and height in pixels; None for anchor-free heads.
        activation: name of the activation in Conv blocks, None for their default.
    """

    rows: list[Row]
    context: RowContext
    anchors: tuple[tuple[float, ...], ...] | None
    activation: str | None


def read_settings(data: Mapping[str, Any], label: str) -> Settings:
    """Check everything but the rows' contents.

    Args:
        data: model description without `base`.
        label: file, for messages.

    Raises:
        SpecError: naming the key, what was found and what is expected.
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
        raise SpecError(f"{label}: identity is {short(identity)}, expected true or false")
    read_module_settings(data, label)
    rows = split_rows(data, label)
    anchors = _anchors(data, rows[-1], label)
    dialect = _dialect(data, rows, anchors is None, label)
    context = RowContext(nc, [list(level) for level in anchors] if anchors else None, ch, scale, identity, dialect)
    return Settings(rows, context, anchors, _activation(data, label))


def _dialect(data: Mapping[str, Any], rows: list[Row], free_of_anchors: bool, label: str) -> Dialect:
    """Return what the file's words of attention mean, as its head and its `dialect` say."""
    family = "ultralytics" if free_of_anchors else "yolov7" if rows[-1].module.startswith("I") else "yolov5"
    try:
        return read_dialect(data.get("dialect"), family, lambda word: split_fused(word) is not None, len(rows))
    except ValueError as error:
        raise SpecError(f"{label}: {error}") from None


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
        raise SpecError(f"{label}: {key} is {short(value)}, expected an integer from 1 to {most}")
    return value


def _scale(data: Mapping[str, Any], label: str) -> Scale:
    """Return the scaling that the description asks for: a letter of `scales`, or depth_multiple and width_multiple."""
    scales = data.get("scales")
    letter = data.get("scale") or ""
    if not isinstance(letter, str):
        raise SpecError(f"{label}: scale is {short(letter)}, expected a letter such as n")
    if scales is None:
        depth, width = (_factor(data.get(key, 1.0), key, label) for key in ("depth_multiple", "width_multiple"))
        return Scale(depth, width, math.inf, letter)
    if not isinstance(scales, dict) or not scales:
        raise SpecError(f"{label}: scales is {short(scales)}, expected a mapping such as {{n: [0.33, 0.25]}}")
    if not letter:
        letter = next(iter(scales))  # as ultralytics does
    if letter not in scales:
        raise SpecError(f"{label}: scale is {short(letter)}; there are {', '.join(map(str, scales))}")
    values = scales[letter]
    if not isinstance(values, list) or len(values) not in (2, 3):
        raise SpecError(
            f"{label}: scales.{letter} is {short(values)}, expected [depth, width] or [depth, width, max_channels]"
        )
    depth, width = (_factor(value, f"scales.{letter}", label) for value in values[:2])
    most = _factor(values[2], f"scales.{letter}", label, 65_536) if len(values) == 3 else math.inf
    return Scale(depth, width, most, str(letter))


def _factor(value: object, key: str, label: str, most: float = 100) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= most:
        raise SpecError(f"{label}: {key} is {short(value)}, expected a number above 0 and at most {most}")
    return float(value)


def _anchors(data: Mapping[str, Any], head: Row, label: str) -> tuple[tuple[float, ...], ...] | None:
    """Return the anchors per level in pixels, None for a head without.

    The head's row says which: `[nc, anchors]` those of the file, `[nc, [[10, 13, …], …]]` its own, `[nc]` none.
    """
    if not on_anchors(head.module) or not isinstance(head.args, list):
        return None
    asked = head.args[1] if len(head.args) > 1 else None
    anchors = data.get("anchors") if asked == "anchors" else asked
    if asked == "anchors" and anchors is None:
        raise SpecError(f"{label}: the head asks for anchors, but the file has no 'anchors'")
    if asked is None:
        if not HEADS[head.module].free:
            raise head.error("this head predicts on anchors: write [nc, anchors]")
        if data.get("anchors") is not None:
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


def _activation(data: Mapping[str, Any], label: str) -> str | None:
    value = data.get("activation", data.get("act"))
    if value is not None and not isinstance(value, str):
        raise SpecError(f"{label}: activation is {short(value)}, expected a name such as nn.SiLU()")
    return value
