"""What `at`, `inside` and `between` can name: rows, aliases, stages and types of the base."""

import re
from collections.abc import Sequence
from difflib import get_close_matches

from models.errors import SpecError
from models.spec.layer import Layer

_ROW = re.compile(r"\d{1,6}", re.ASCII)
_STAGE = re.compile(r"(backbone|neck)\.P(\d{1,2})", re.ASCII)
_LEVEL = re.compile(r"P\d{1,2}", re.ASCII)
_TYPE = re.compile(r"(?:(backbone|neck)\.)?([A-Za-z][\w.]*?)(?:\[(-?\d{1,6})\])?", re.ASCII)


def select_layers(layers: Sequence[Layer], selectors: Sequence[str | int], origin: str) -> list[Layer]:
    """Return the base layers that selectors name, in the order written, each once.

    Args:
        layers: the base's layers.
        selectors: integer row, alias, "backbone.P3", "neck.P4", "C3", "neck.C3", "backbone.C3[1]".
        origin: entry, for messages.

    Raises:
        SpecError: listing what exists, if one matches nothing.
    """
    found: list[Layer] = []
    for selector in selectors:
        found += [layer for layer in _select_one(layers, selector, origin) if layer not in found]
    return found


def _select_one(layers: Sequence[Layer], selector: str | int, origin: str) -> list[Layer]:
    if isinstance(selector, int) or _ROW.fullmatch(selector):
        return [_row(layers, int(selector), origin)]
    named = [layer for layer in layers if layer.alias == selector]
    if named:
        return named
    stage = _STAGE.fullmatch(selector)
    if stage:
        return [_stage(layers, stage[1], int(stage[2]), origin)]
    typed = _TYPE.fullmatch(selector)
    if typed:
        return _types(layers, typed[1], typed[2], typed[3], selector, origin)
    raise SpecError(
        f"{origin}: selector {selector[:60]!r}: write a row number, a name, backbone.P3 or a type such as C3[0]"
    )


def _row(layers: Sequence[Layer], index: int, origin: str) -> Layer:
    if not 0 <= index < len(layers):
        raise SpecError(f"{origin}: there is no row {index}; the base has rows 0 to {len(layers) - 1}")
    return layers[index]


def stages(layers: Sequence[Layer], section: str) -> dict[int, Layer]:
    """Return level → layer for "backbone" (the last layer of each stride) or "neck" (what the head reads of each
    stride).

    A level is the binary logarithm of the stride: P3 has stride 8.
    """
    if section == "backbone":
        candidates = [layer for layer in layers if layer.section == "backbone"]
    else:
        by_name = {layer.name: layer for layer in layers}
        # An auxiliary head reads the lead maps first; the first map of a stride is the lead's.
        candidates = [by_name[name] for name in reversed(layers[-1].reads) if name in by_name]
    found: dict[int, Layer] = {}
    for layer in candidates:
        stride = layer.stride
        if isinstance(stride, int) and stride > 0 and stride & (stride - 1) == 0 and isinstance(layer.channels, int):
            found[stride.bit_length() - 1] = layer
    return found


def _stage(layers: Sequence[Layer], section: str, level: int, origin: str) -> Layer:
    found = stages(layers, section)
    if level not in found:
        there = ", ".join(f"{section}.P{p} (row {found[p].name})" for p in sorted(found)) or "no stage at all"
        raise SpecError(f"{origin}: there is no {section}.P{level}; there are {there}")
    return found[level]


def _types(
    layers: Sequence[Layer], section: str | None, module: str, index: str | None, selector: str, origin: str
) -> list[Layer]:
    inside = [layer for layer in layers if section in (None, layer.section) and layer.section != "head"]
    found = [layer for layer in inside if module in (layer.module, layer.attention and layer.attention.module)]
    if not found:
        names = sorted({layer.alias for layer in layers if layer.alias} | {layer.module for layer in inside})
        near = [f"{place}.{module}" for place in ("backbone", "neck") if _LEVEL.fullmatch(module)]
        near = near or get_close_matches(module, names, n=1)
        hint = f"; did you mean {' or '.join(near)}?" if near else ";"
        where = f" in the {section}" if section else ""
        raise SpecError(f"{origin}: {selector[:60]!r} matches nothing{hint} there are{where} {', '.join(names)}")
    if index is None:
        return found
    if not -len(found) <= int(index) < len(found):
        raise SpecError(f"{origin}: {selector[:60]!r}: there are {len(found)}, numbered 0 to {len(found) - 1}")
    return [found[int(index)]]
