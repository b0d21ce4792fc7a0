"""A resolved model as a table, a list of differences, JSON or a drawing."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from models.spec.layer import Layer
from models.spec.model_spec import ModelSpec

Parameters = Mapping[str, int]  # layer name → number of parameters

_ROW, _INDENT, _BOX, _TOP, _TRACK = 30, 34, 330, 72, 14
_FILL = {"backbone": "#e8f0fb", "neck": "#eef7ec", "head": "#fbeee6"}
_EDGE = {"backbone": "#5b84c4", "neck": "#5fa152", "head": "#c98552"}
_ATTENTION = ("#fff0c2", "#c79a1b")


def table(spec: ModelSpec, parameters: Parameters) -> str:
    """Return the resolved graph as text: name, what it reads, module, stride, channels, parameters."""
    rows = [("layer", "reads", "module", "stride", "channels", "parameters")]
    for layer in spec.layers:
        name = f"{layer.name} ({layer.alias})" if layer.alias else layer.name
        count = f"{parameters[layer.name]:,}" if layer.name in parameters else ""
        rows.append((name, ", ".join(layer.reads), _module(layer), _stride(layer), _channels(layer), count))
    widths = [max(len(row[i]) for row in rows) for i in range(6)]
    lines = [
        "  ".join(cell.rjust(widths[i]) if i > 2 else cell.ljust(widths[i]) for i, cell in enumerate(row))
        for row in rows
    ]
    total = f"{spec.name}: {len(spec.layers)} layers, {sum(parameters.values()):,} parameters, {spec.nc} classes"
    return "\n".join(line.rstrip() for line in [*lines, total])


def differences(spec: ModelSpec, base: ModelSpec) -> list[str]:
    """Return what a model has that its base has not, one line each: + new, - gone, ~ changed; by layer name."""
    old = {layer.name: layer for layer in base.layers}
    names = {layer.name for layer in spec.layers}
    lines = []
    for layer in spec.layers:
        if layer.name not in old:
            lines.append(f"+ {layer.name}: {_module(layer)} reads {', '.join(layer.reads)}")
        else:
            changes = _changes(layer, old[layer.name])
            lines += [f"~ {layer.name}: {', '.join(changes)}"] if changes else []
    lines += [f"- {layer.name}: {_module(layer)}" for layer in base.layers if layer.name not in names]
    return lines


def _changes(new: Layer, old: Layer) -> list[str]:
    found = []
    if new.reads != old.reads:
        found.append(f"reads {', '.join(new.reads)} instead of {', '.join(old.reads)}")
    if new.inside != old.inside:
        found.append(f"inside it {_inside(new) or 'nothing'}")
    for what, a, b in (
        ("module", new.module, old.module),
        ("channels", new.channels, old.channels),
        ("arguments", new.args, old.args),
        ("number", new.number, old.number),
    ):
        if a != b:
            found.append(f"{what} {_short(a)} instead of {_short(b)}")
    return found


def as_json(spec: ModelSpec, parameters: Parameters) -> dict[str, Any]:
    """Return the resolved graph in JSON types."""
    return {
        "name": spec.name,
        "nc": spec.nc,
        "ch": spec.ch,
        "scale": spec.scale.letter,
        "parameters": sum(parameters.values()),
        "warnings": list(spec.warnings),
        "layers": [
            {
                "name": layer.name,
                "alias": layer.alias,
                "module": layer.module,
                "reads": list(layer.reads),
                "number": layer.number,
                "args": list(layer.args),
                "section": layer.section,
                "channels": list(layer.channels) if isinstance(layer.channels, tuple) else layer.channels,
                "stride": None if layer.stride is None else float(layer.stride),
                "parameters": parameters.get(layer.name),
                "attention": None if layer.attention is None else layer.attention.module,
                "inside": [{"module": i.attention.module, "where": i.where} for i in layer.inside],
            }
            for layer in spec.layers
        ],
    }


def svg(spec: ModelSpec, parameters: Parameters, *, clickable: bool = False) -> str:
    """Return a drawing: layers from top to bottom, indented by stride; what skips a row runs in tracks at the right.

    Args:
        spec: the model.
        parameters: of its layers, as far as they are known.
        clickable: mark layers (`data-layer`), the inside of blocks (`data-inside`) and connections (`data-source`,
            `data-reader`) for a page that reacts to clicks and keys.
    """
    position = {layer.name: i for i, layer in enumerate(spec.layers)}
    levels = [_level(layer, spec) for layer in spec.layers]
    skips = [
        (position[name], i)
        for i, layer in enumerate(spec.layers)
        for name in dict.fromkeys(layer.reads)
        if name in position and position[name] != i - 1
    ]
    tracks = _tracks(skips)
    right = 20 + _INDENT * max(levels) + _BOX + 16
    width = max(right + _TRACK * (max(tracks.values(), default=-1) + 2), 500)
    height = _TOP + _ROW * len(spec.layers) + 20
    counted = f"{sum(parameters.values()):,} parameters, " if parameters else ""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="12">',
        '<defs><marker id="a" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0,0 L8,4 L0,8 z" fill="#555"/></marker></defs>',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="20" y="24" font-size="16" font-weight="bold">{escape(spec.name)}</text>',
        f'<text x="20" y="42" fill="#555">{len(spec.layers)} layers, {counted}'
        f"{spec.nc} classes; a layer says channels /stride and parameters</text>",
        '<text x="20" y="58" fill="#555">'
        "blue backbone, green neck, orange head, yellow attention; indented by stride</text>",
    ]
    for (start, end), track in sorted(tracks.items()):
        path = _skip(spec.layers[start], start, end, (levels[start], levels[end]), right + _TRACK * track)
        parts.append(_connection(path, spec.layers[start], spec.layers[end]) if clickable else path)
    for i, layer in enumerate(spec.layers):
        if i and spec.layers[i - 1].name in layer.reads:
            path = _step(i, levels[i - 1], levels[i])
            parts.append(_connection(path, spec.layers[i - 1], layer) if clickable else path)
        parts.append(_box(layer, i, levels[i], parameters.get(layer.name), clickable))
    return "\n".join([*parts, "</svg>\n"])


def _tracks(skips: Sequence[tuple[int, int]]) -> dict[tuple[int, int], int]:
    """Give each skipping connection the innermost track that is free over its rows; one source keeps one track."""
    ends: dict[int, list[tuple[int, int]]] = {}
    found: dict[tuple[int, int], int] = {}
    for start, end in sorted(skips, key=lambda skip: (skip[1] - skip[0], skip[0])):
        track = 0
        while any(a < end and start < b and a != start for a, b in ends.get(track, ())):
            track += 1
        ends.setdefault(track, []).append((start, end))
        found[start, end] = track
    return found


def _skip(layer: Layer, start: int, end: int, levels: tuple[int, int], track: int) -> str:
    y1, y2 = _middle(start) + 5, _middle(end) - 5
    x1, x2 = (20 + _INDENT * level + _BOX for level in levels)
    color = _ATTENTION[1] if layer.attention else _EDGE[layer.section]
    path = f"M{x1},{y1} H{track - 4} Q{track},{y1} {track},{y1 + 4} V{y2 - 4} Q{track},{y2} {track - 4},{y2} H{x2 + 2}"
    return f'<path d="{path}" fill="none" stroke="{color}" stroke-width="1.4" marker-end="url(#a)"/>'


def _step(i: int, above: int, level: int) -> str:
    x1, x2 = (20 + _INDENT * k + 16 for k in (above, level))
    y1, y2 = _middle(i - 1) + 11, _middle(i) - 12
    return f'<path d="M{x1},{y1} L{x2},{y2}" stroke="#555" stroke-width="1.2" fill="none" marker-end="url(#a)"/>'


def _connection(path: str, source: Layer, reader: Layer) -> str:
    """Return a connection that can be clicked: its line, and a wider one that is not seen."""
    d = path.partition('d="')[2].partition('"')[0]
    return (
        f'<g class="connection" data-source="{escape(source.name)}" data-reader="{escape(reader.name)}">'
        f"<title>{escape(source.name)} → {escape(reader.name)}</title>{path}"
        f'<path d="{d}" fill="none" stroke="transparent" stroke-width="9"/></g>'
    )


def _inside_mark(layer: Layer, x: int, y: int) -> str:
    """Return what stands for the inside of a block, to its left."""
    return (
        f'<g class="inside" data-inside="{escape(layer.name)}"><title>inside {escape(layer.name)} '
        f'{escape(layer.module)}</title><rect x="{x - 17}" y="{y + 4}" width="14" height="14" rx="3" fill="white" '
        f'stroke="{_EDGE[layer.section]}"/><path d="M{x - 14},{y + 11} h8 M{x - 10},{y + 7} v8" stroke="#555"/></g>'
    )


def _box(layer: Layer, i: int, level: int, parameters: int | None, clickable: bool = False) -> str:
    x, y = 20 + _INDENT * level, _middle(i) - 11
    fill, edge = _ATTENTION if layer.attention else (_FILL[layer.section], _EDGE[layer.section])
    size = " ".join(part for part in (_channels(layer), f"/{_stride(layer)}" if layer.stride else "") if part)
    count = f"{parameters:,}" if parameters else ""
    inside = f'<tspan fill="{_ATTENTION[1]}"> + {escape(_inside(layer))}</tspan>' if layer.inside else ""
    title = f"reads {', '.join(layer.reads)}; arguments {_short(layer.args)}"
    mark, attributes = "", ""
    if clickable:
        kind = "attention" if layer.attention else layer.section
        label = escape(f"{layer.name} {layer.module}")
        attributes = (
            f' class="layer {kind}" data-layer="{escape(layer.name)}" tabindex="{-1 if i else 0}" role="button"'
        )
        attributes += f' aria-label="{label}"'
        mark = "" if layer.attention or layer.section == "head" else _inside_mark(layer, x, y)
    return (
        f"{mark}<g{attributes}><title>{escape(title)}</title>"
        f'<rect x="{x}" y="{y}" width="{_BOX}" height="22" rx="4" fill="{fill}" '
        f'stroke="{edge}"/><text x="{x + 8}" y="{y + 15}"><tspan font-weight="bold">{escape(layer.name)}</tspan> '
        f"{escape(layer.module)}{f' ×{layer.number}' if layer.number > 1 else ''}{inside}</text>"
        f'<text x="{x + 244}" y="{y + 15}" text-anchor="end" fill="#333">{escape(size)}</text>'
        f'<text x="{x + _BOX - 8}" y="{y + 15}" text-anchor="end" fill="#777">{count}</text></g>'
    )


def _middle(i: int) -> int:
    return _TOP + _ROW * i + _ROW // 2


def _level(layer: Layer, spec: ModelSpec) -> int:
    """Return the binary logarithm of the stride; 0 for the head and where it is not known."""
    stride = layer.stride
    return 0 if stride is None else max(int(stride).bit_length() - 1, 0)


def _module(layer: Layer) -> str:
    name = f"{layer.module} ×{layer.number}" if layer.number > 1 else layer.module
    return f"{name} + {_inside(layer)}" if layer.inside else name


def _inside(layer: Layer) -> str:
    return ", ".join(f"{inner.attention.module} ({inner.where})" for inner in layer.inside)


def _stride(layer: Layer) -> str:
    return "" if layer.stride is None else str(layer.stride)


def _channels(layer: Layer) -> str:
    return "+".join(map(str, layer.channels)) if isinstance(layer.channels, tuple) else str(layer.channels)


def _short(value: object) -> str:
    text = str(list(value)) if isinstance(value, tuple) else str(value)
    return text if len(text) <= 60 else text[:57] + "…"
