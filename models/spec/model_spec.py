"""Model YAML → frozen ModelSpec: every reference resolved to a layer's name before anything is inserted."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.catalog.channel_rules import Scale
from models.catalog.heads import HEADS
from models.errors import SpecError
from models.spec.attention_entries import Entry, read_entries
from models.spec.base_files import describe
from models.spec.header import read_settings
from models.spec.layer import Layer
from models.spec.placement import apply_entries
from models.spec.resolve import RowContext, resolve_rows
from models.spec.row import Row


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
    return resolve(data, label, entries, description.notes)


def resolve(
    data: dict[str, Any], label: str, places: Sequence[tuple[object, str]] = (), notes: Sequence[str] = ()
) -> ModelSpec:
    """Resolve a self-contained description; see `read_spec`.

    Args:
        data: model description without `base` and `attention`.
        label: file, for messages.
        places: attention entries, each with the position to name in messages.
        notes: lines about the description that come before the warnings of its rows.
    """
    settings = read_settings(data, label)
    rows, context, anchors = settings.rows, settings.context, settings.anchors
    layers = resolve_rows(rows, context)
    if anchors is not None:
        _check_anchor_head(layers, anchors)
    entries = read_entries(places, context.identity)
    plain = _plain(data, layers, context, entries)
    placed = apply_entries(layers, entries)
    return ModelSpec(
        label=label,
        name=plain["name"],
        layers=tuple(placed),
        nc=context.nc,
        ch=context.channels,
        anchors=anchors,
        scale=context.scale,
        activation=settings.activation,
        yaml=plain,
        warnings=(*notes, *_warnings(rows, layers)),
    )


def _plain(
    data: Mapping[str, Any], layers: Sequence[Layer], context: RowContext, entries: Sequence[Entry]
) -> dict[str, Any]:
    """Return the description that a checkpoint stores; what its words mean is said row by row."""
    kept = {
        str(key): value for key, value in data.items() if key not in {"attention", "yaml_file", "channels", "names"}
    }
    kept = deepcopy(kept)  # the caller may go on with its own
    kept.update({"nc": context.nc, "ch": context.channels})
    chosen = {index: layer.dialect for index, layer in enumerate(layers) if layer.dialect}
    kept.pop("dialect", None)  # it says nothing where no row has a word of several meanings
    if chosen:
        kept["dialect"] = {key: name for key, name in context.dialect.chosen.items() if key == "default"} | chosen
    if entries:
        kept["attention"] = [entry.to_dict() for entry in entries]
    return kept


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


def _warnings(rows: Sequence[Row], layers: Sequence[Layer]) -> list[str]:
    """Say what rows that are written as forks write them were understood as, and what the head is worth knowing for."""
    found = [f"{row.origin}: {layer.note}" for row, layer in zip(rows, layers, strict=True) if layer.note]
    note = HEADS[layers[-1].module].note
    if note:
        found.append(f"{layers[-1].origin}: {note}")
    return found
