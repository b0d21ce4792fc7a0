"""Build the control of a variant: plain convolutions at the same positions, of the same size."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from torch import nn

from attention import IdentityStart
from engine.errors import UsageError
from models import build_model, read_spec
from models.catalog.mechanisms import build_mechanism
from models.network.attention_inside import places
from models.network.cost import count_parameters
from models.spec.layer import Attention, Layer
from models.spec.model_spec import ModelSpec

BLOCK = "PlainConv"
KERNELS = (3, 1)  # in order of preference
CLOSE = 0.02


@dataclass(frozen=True)
class Match:
    """Plain convolutions that stand for one placement of a mechanism.

    Attributes:
        target: parameters to match, of all its positions together.
        hidden: width of each block.
        kernel_size: of each block.
        got: parameters of the blocks.
        step: parameters that one more hidden channel adds to one block.
    """

    target: int
    hidden: int
    kernel_size: int
    got: int
    step: int


def unit(channels: int, kernel_size: int) -> int:
    """Count the parameters of a PlainConv for each channel of its hidden width."""
    return channels * (1 + kernel_size**2) + 2


def match_parameters(target: int, channels: list[int]) -> Match:
    """Choose the block whose number of parameters comes closest to a mechanism's.

    A 3×3 kernel is taken where it comes within 2 %, else the finer steps of a 1×1 kernel.

    Args:
        target: parameters of the mechanism, over all its positions.
        channels: of each position; one entry stands for the same block at all of them.

    Returns:
        The best match.

    Raises:
        ValueError: if the mechanism has less than half of the parameters of the smallest block.
    """
    smallest = sum(unit(c, 1) for c in channels)
    if 2 * target < smallest:
        raise ValueError(
            f"{target} parameters are too few for a control: the smallest convolution block there has {smallest}"
        )
    for kernel in KERNELS:
        each = sum(unit(c, kernel) for c in channels)
        hidden = max(1, round(target / each))
        match = Match(target, hidden, kernel, hidden * each, max(unit(c, kernel) for c in channels))
        if abs(match.got - target) <= CLOSE * target:
            break
    return match


def control(spec: ModelSpec, name: str) -> tuple[dict[str, Any], list[Match]]:
    """Describe the control of a variant.

    Args:
        spec: of the variant.
        name: of the variant, for messages.

    Returns:
        A self-contained model description, and how each placement was matched. What a match is off by is made up for
        by the next one, so that the totals agree as well as each placement.

    Raises:
        UsageError: if a mechanism has too few parameters for a control.
    """
    yaml: dict[str, Any] = deepcopy(dict(spec.yaml))
    placed = [layer for layer in spec.layers if layer.attention is not None or layer.inside]
    if not placed:
        raise UsageError(
            f"the variant '{name}' has no attention that a control could stand for; leave it out of controls"
        )
    base = None
    if any(layer.inside for layer in placed):
        base = build_model({key: value for key, value in yaml.items() if key != "attention"}).model
    maker = _Maker(name)
    entries: list[dict[str, Any]] = []
    for layer in placed:
        if layer.attention is not None and layer.is_base:
            _replace_row(yaml, layer, maker.entry(layer.attention, [_channels(layer)]))
        elif layer.attention is not None:
            entries.append({**_position(spec, layer), **maker.entry(layer.attention, [_channels(layer)])})
        for inner in layer.inside:
            assert base is not None  # noqa: S101 - some layer has attention inside; tells the type checker
            channels = _inner_channels(base.get_submodule(layer.name), inner.where)
            made = maker.entry(inner.attention, channels)
            entries.append({"inside": int(layer.name), "where": inner.where, **made})
    yaml.pop("attention", None)
    if entries:
        yaml["attention"] = sorted(entries, key=lambda entry: "between" in entry)
    yaml["name"] = f"{yaml.get('name', 'model')}-control"
    read_spec(yaml)
    return yaml, maker.matches


class _Maker:
    """Makes the blocks of one control, carrying what a match is off by into the next.

    Args:
        name: of the variant, for messages.
    """

    def __init__(self, name: str) -> None:
        self.name, self.carry = name, 0
        self.matches: list[Match] = []

    def entry(self, attention: Attention, channels: list[int]) -> dict[str, Any]:
        """Return an entry of the attention section, without its position, for blocks in place of a mechanism."""
        target, starts = 0, attention.identity
        for c in channels:
            module = build_mechanism(attention.module, c, identity=attention.identity, **attention.kwargs)
            inner = module.attention if isinstance(module, IdentityStart) else module  # the control has its own gate
            target += count_parameters(inner)
            starts = starts or bool(getattr(module, "starts_at_identity", False))
        try:
            match_parameters(target, channels)  # by itself, so that the refusal does not depend on what came before
            match = match_parameters(max(target + self.carry, 1), channels)
            if abs(match.got - target) > max(CLOSE * target, match.step * len(channels)):
                match = match_parameters(target, channels)
        except ValueError as error:
            raise UsageError(
                f"no control for '{self.name}': {attention.module} at {channels[0]} channels: {error}; "
                "leave it out of controls"
            ) from None
        self.carry += target - match.got
        self.matches.append(Match(target, match.hidden, match.kernel_size, match.got, match.step))
        args = {"hidden": match.hidden, "kernel_size": match.kernel_size}
        entry: dict[str, Any] = {"module": BLOCK, "args": args, "identity": starts}
        if attention.repeats > 1:
            entry["repeat"] = attention.repeats
        return entry


def _inner_channels(block: nn.Module, where: str) -> list[int]:
    """Return the channels of every position inside a block of the base."""
    copies = list(block) if type(block) is nn.Sequential else [block]
    return [channels for copy in copies for _, channels in places(copy, where)]


def _channels(layer: Layer) -> int:
    channels = layer.channels
    assert isinstance(channels, int)  # noqa: S101 - attention stands on single maps only; tells the type checker
    return channels


def _position(spec: ModelSpec, layer: Layer) -> dict[str, Any]:
    """Return where a placed layer stands, in the base's own numbers."""
    home = layer.name.partition("+")[0]
    if layer.placed == "at":
        return {"at": int(home)}
    readers = [other for other in spec.layers if layer.name in other.reads]
    ends: list[int] = []
    while readers:  # through what else stands on this connection
        reader = readers.pop(0)
        if reader.placed == "between":
            readers += [other for other in spec.layers if reader.name in other.reads]
        else:
            ends.append(int(reader.name))
    return {"between": [int(home), sorted(set(ends))]}


def _replace_row(yaml: dict[str, Any], layer: Layer, made: Mapping[str, Any]) -> None:
    """Put the block into the row of a hand-written YAML."""
    backbone = yaml["backbone"]
    number = int(layer.name)
    rows, at = (backbone, number) if number < len(backbone) else (yaml["head"], number - len(backbone))
    args = dict(made["args"])
    if made["identity"]:
        args["identity"] = True
    rows[at] = [rows[at][0], rows[at][1], BLOCK, [args], *rows[at][4:]]
