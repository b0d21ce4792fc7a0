"""Plan which tensors a model takes over from a checkpoint, say it, and do it.

Base layers keep their names under placed attention, so the plan is usually by name; hand-edited descriptions are
aligned layer by layer (`models.weights.transfer.align_layers`); rows of a head go by class name
(`models.weights.transfer.class_rows`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from models.weights.transfer.align_layers import LayerLike, Shapes, align_layers, is_head
from models.weights.transfer.class_rows import ClassMap, head_rows, map_classes, shared_names
from models.weights.transfer.converted import (
    computes_otherwise,
    converted,
    fits_channels,
    for_channels,
    reversed_axis,
)
from models.weights.transfer.pair_tensors import pair_left_overs
from models.weights.transfer.report import TransferReport

_OFFICIAL_ANCHORS, _OUR_ANCHORS = "anchors", "anchor_wh"  # one buffer, in strides; the engine reserves the first name
_DERIVED = frozenset({"anchor_grid", "strides"})  # buffers of original heads that follow from others


def plan_transfer(
    source_layers: Sequence[LayerLike] | None,
    target_layers: Sequence[LayerLike],
    source_state: Mapping[str, torch.Tensor],
    target_shapes: Mapping[str, Sequence[int]],
    source_names: Mapping[int, str],
    target_names: Mapping[int, str],
    channels: tuple[int, int] = (3, 3),
) -> TransferReport:
    """Decide for every tensor of the new model where its values come from; nothing is copied yet.

    Args:
        source_layers: layers of the model that the checkpoint describes; None if it says nothing (a plain state dict),
            which then counts as a base of the target.
        target_layers: layers of the new model.
        source_state: the checkpoint's tensors; only their shapes are read.
        target_shapes: the new model's state-dict keys and shapes.
        source_names: class names of the checkpoint; empty if unknown.
        target_names: class names of the new model.
        channels: of the image, for the checkpoint and for the new model.
    """
    old = _by_layer({key: tuple(value.shape) for key, value in source_state.items()})
    new = _by_layer({key: tuple(shape) for key, shape in target_shapes.items()})
    if source_layers is None:
        pairs = {layer.name: layer.name for layer in target_layers if layer.name in old}
    else:
        pairs = align_layers(source_layers, target_layers, old, new)
    plan = _Plan(old, new, pairs, map_classes(source_names, target_names), target_names)
    if channels[0] != channels[1]:
        plan.channels = channels
        plan.first = frozenset(layer.name for layer in target_layers if "image" in getattr(layer, "reads", ()))
    plan.pair_spellings(target_layers)
    plan.kept_anchors = _changed_heads(source_layers or (), target_layers, pairs)
    for name, tensors in new.items():
        for rest, shape in tensors.items():
            plan.place(name, rest, shape)
    plan.finish(source_layers or (), target_layers)
    return plan.report


def apply_transfer(
    report: TransferReport, source_state: Mapping[str, torch.Tensor], target_state: Mapping[str, torch.Tensor]
) -> None:
    """Copy what the plan says into the new model's tensors, in place; everything else keeps its initial value.

    Args:
        report: the plan.
        source_state: the tensors that it was made for.
        target_state: `model.state_dict()` of the new model (its tensors share memory with the model).
    """
    with torch.no_grad():
        for key, (origin, rows) in report.copies.items():
            target, source = target_state[key], source_state[origin]
            if key in report.channels:
                target.copy_(for_channels(source, *report.channels[key]))
                continue
            if rows is None:
                target.copy_(converted(source, tuple(target.shape), report.axes.get(key)))
                continue
            old, new = (torch.tensor(index, device=target.device) for index in (rows.old, rows.new))
            target.index_copy_(rows.dim, new, source.to(target).index_select(rows.dim, old))


class _Plan:
    """The report in the making."""

    def __init__(
        self,
        old: Mapping[str, Shapes],
        new: Mapping[str, Shapes],
        pairs: Mapping[str, str],
        classes: ClassMap,
        names: Mapping[int, str],
    ) -> None:
        self.old, self.new, self.pairs, self.classes, self.names = old, new, pairs, classes, names
        self.report = TransferReport(layers=dict(pairs))
        self.kept_anchors: frozenset[str] = frozenset()
        self.channels, self.first = (3, 3), frozenset[str]()  # of the image; layers that read it
        self.used: set[str] = set()
        self.spellings: dict[str, dict[str, str]] = {}

    def pair_spellings(self, layers: Sequence[LayerLike]) -> None:
        """Pair the tensors of layers that the source spells otherwise, in order and by shape."""
        for layer in layers:
            partner = self.pairs.get(layer.name)
            if partner is None or is_head(layer.module) or computes_otherwise(layer, self.old.get(partner, {})):
                continue
            found = pair_left_overs(self.old.get(partner, {}), self.new.get(layer.name, {}))
            if found:
                self.spellings[layer.name] = found
                for rest in found:
                    axis = reversed_axis(layer, rest, self.new[layer.name], self.old[partner])
                    if axis is not None:
                        self.report.axes[_key(layer.name, rest)] = axis

    def place(self, layer: str, rest: str, shape: tuple[int, ...]) -> None:
        """Decide for one tensor."""
        report, key = self.report, _key(layer, rest)
        partner = self.pairs.get(layer, layer if not layer else None)
        if partner is None:
            report.new.append(key)
            report.reasons[key] = f"layer {layer} is not in the checkpoint"
            return
        tensors = self.old.get(partner, {})
        there = _OFFICIAL_ANCHORS if rest == _OUR_ANCHORS and rest not in tensors else rest
        if there not in tensors and rest in self.spellings.get(layer, {}):
            self._take_spelling(key, _key(partner, self.spellings[layer][rest]))
            return
        if there not in tensors:
            self._absent(key, layer, rest)
            return
        origin = _key(partner, there)
        self.used.add(origin)
        if rest == _OUR_ANCHORS and layer in self.kept_anchors:
            report.mismatched.append(key)
            report.reasons[key] = "anchors of the new description kept"
            return
        if layer in self.first and fits_channels(tensors[there], shape, *self.channels):
            self._adapt(key, origin)
            return
        self._copy(key, origin, rest, (tensors[there], shape), self._anchors(layer))

    def _take_spelling(self, key: str, origin: str) -> None:
        self.used.add(origin)
        self.report.copies[key] = (origin, None)
        self.report.transferred.append(key)

    def _adapt(self, key: str, origin: str) -> None:
        old, new = self.channels
        self.report.copies[key] = (origin, None)
        self.report.channels[key] = self.channels
        self.report.transferred.append(key)
        self.report.reasons[key] = (
            f"{old} → {new} channels of the image: each of the new gets the mean of the old × {old}/{new}, so that an "
            "image alike in all is seen as before"
        )

    def _absent(self, key: str, layer: str, rest: str) -> None:
        if any(part.startswith("attention") for part in rest.split(".")):
            self.report.new.append(key)
            self.report.attention.add(key)
            self.report.reasons[key] = f"attention inside layer {layer} is not in the checkpoint"
        else:
            self.report.missing.append(key)
            self.report.reasons[key] = f"the checkpoint has layer {layer} without this tensor"

    def _copy(
        self, key: str, origin: str, rest: str, shapes: tuple[tuple[int, ...], tuple[int, ...]], anchors: int
    ) -> None:
        report, classes = self.report, self.classes
        rows = head_rows(rest, *shapes, anchors, classes)
        if shapes[0] == shapes[1] and (rows is None or classes.unchanged):
            report.transferred.append(key)
            report.copies[key] = (origin, None)
        elif rows is not None:
            common = shared_names(classes, self.names)
            report.copies[key] = (origin, rows)
            report.reasons[key] = f"rows of the classes in common: {common}" + (
                "" if rows.complete else "; others start anew"
            )
            (report.transferred if rows.complete else report.mismatched).append(key)
            if not rows.complete:
                report.partial.append(key)
        elif _rows_differ(rest, shapes, anchors, classes):
            report.mismatched.append(key)
            report.reasons[key] = (
                f"head for {classes.new_count} classes instead of {classes.old_count}, none in common by name"
            )
        else:
            report.mismatched.append(key)
            report.reasons[key] = f"shape {shapes[0]} in the checkpoint, {shapes[1]} here"

    def _anchors(self, layer: str) -> int:
        shape = self.new[layer].get(_OUR_ANCHORS, ())
        return shape[1] if len(shape) == 3 else 0

    def finish(self, source: Sequence[LayerLike], target: Sequence[LayerLike]) -> None:
        """Add the source's unused tensors, lost ones, and the totals."""
        report = self.report
        partners = set(self.pairs.values())
        for layer, tensors in self.old.items():
            for rest in tensors:
                key = _key(layer, rest)
                if key in self.used:
                    continue
                if rest in _DERIVED:
                    reason = "follows from other tensors"
                elif layer in partners:
                    reason = f"layer {layer} has no such tensor any more"
                else:
                    reason = f"layer {layer} of the checkpoint is not in the model"
                report.unused.append(key)
                report.reasons[f"checkpoint:{key}"] = reason
        report.lost = self._lost(source, target)
        report.source_total = sum(rest not in _DERIVED for tensors in self.old.values() for rest in tensors)
        placed = {layer.name for layer in target if getattr(layer, "attention", None) is not None}
        report.attention |= {key for key in report.new if key.split(".", 2)[1:2] and key.split(".", 2)[1] in placed}
        sizes = {
            _key(layer, rest): math.prod(shape) for layer, rests in self.new.items() for rest, shape in rests.items()
        }
        report.numbers = sum(sizes[key] for key in report.transferred), sum(sizes.values())

    def _lost(self, source: Sequence[LayerLike], target: Sequence[LayerLike]) -> list[str]:
        spare = Counter(
            (layer.module, frozenset(self.old.get(layer.name, {}).items()))
            for layer in source
            if layer.name not in set(self.pairs.values())
        )
        lost: list[str] = []
        for layer in target:
            tensors = self.new.get(layer.name, {})
            like = (layer.module, frozenset(tensors.items()))
            if layer.name not in self.pairs and "+" not in layer.name and tensors and spare[like]:
                spare[like] -= 1
                lost += [_key(layer.name, rest) for rest in tensors]
        return lost


def _rows_differ(rest: str, shapes: tuple[tuple[int, ...], tuple[int, ...]], anchors: int, classes: ClassMap) -> bool:
    """Tell whether the shapes differ just by the rows of the classes."""
    everything = ClassMap({0: 0}, classes.old_count, classes.new_count, True)
    return head_rows(rest, *shapes, anchors, everything) is not None


def _changed_heads(
    source: Sequence[LayerLike], target: Sequence[LayerLike], pairs: Mapping[str, str]
) -> frozenset[str]:
    """Return heads whose description gives other anchors than the source's: their anchors are the user's word."""
    arguments = {layer.name: _anchor_argument(layer) for layer in source}
    return frozenset(
        layer.name
        for layer in target
        if layer.name in pairs and _anchor_argument(layer) != arguments.get(pairs[layer.name], _anchor_argument(layer))
    )


def _anchor_argument(layer: LayerLike) -> Any:
    """Return the anchors among a head's arguments: a list of lists of numbers; None for other layers."""
    if not is_head(layer.module):
        return None
    nested = [argument for argument in layer.args if isinstance(argument, (list, tuple)) and argument]
    nested = [argument for argument in nested if all(isinstance(level, (list, tuple)) for level in argument)]
    return [[float(number) for number in level] for level in nested[0]] if nested else None


def _by_layer(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, dict[str, tuple[int, ...]]]:
    """Group tensors by layer; keys that are not `model.<layer>.<rest>` under the layer ""."""
    layers: dict[str, dict[str, tuple[int, ...]]] = {}
    for key, shape in shapes.items():
        parts = key.split(".", 2)
        layer, rest = (parts[1], parts[2]) if parts[0] == "model" and len(parts) == 3 else ("", key)
        layers.setdefault(layer, {})[rest] = shape
    return layers


def _key(layer: str, rest: str) -> str:
    return f"model.{layer}.{rest}" if layer else rest
