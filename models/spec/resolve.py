"""Rows of a model YAML → base layers with every `from` resolved to a name."""

import ast
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from attention import ATTENTION
from models import blocks as _blocks  # noqa: F401 - fills the registry
from models.catalog.channel_rules import Call, Reads, Rule, Scale
from models.catalog.heads import HEADS, is_head
from models.catalog.mechanisms import canonical, is_mechanism, option_example
from models.catalog.registry import BLOCKS
from models.catalog.ultralytics_layers import STOCK
from models.errors import short, suggestion
from models.spec.layer import IMAGE, Attention, Layer
from models.spec.row import Row

MAX_UNITS = 5000  # repetitions of all rows together; the largest model in use has 200
MAX_STRIDE = 1024
MAX_LEVELS = 16  # maps that a head reads, auxiliary ones included

OTHER_TASKS = {
    "segment": "segmentation",
    "pose": "pose",
    "classify": "classification",
    "obb": "oriented-box",
    "semantic": "segmentation",
    "depth": "depth",
}
NOT_DETECTORS = ("RTDETRDecoder", "WorldDetect", "YOLOEDetect")


@dataclass(frozen=True)
class RowContext:
    """Values that the names in a row's arguments stand for, such as nc, and the model's scale."""

    nc: int
    anchors: list[list[float]] | None
    channels: int
    scale: Scale
    identity: bool = False


def resolve_rows(rows: Sequence[Row], context: RowContext, into: list[Layer] | None = None) -> list[Layer]:
    """Resolve references, scaling and channels of all rows.

    Args:
        rows: as `split_rows` returns them.
        context: what their arguments can name.
        into: list to append the layers to, which then holds those before the first mistake too.

    Raises:
        SpecError: naming file and row, for an unknown module, a wrong argument, a dangling or forward reference, or
            maps that do not fit.
    """
    layers: list[Layer] = [] if into is None else into
    by_name: dict[str, Layer] = {}
    units = 0
    for row in rows:
        sources = row.source if isinstance(row.source, list) else [row.source]
        names = tuple(_source_name(source, row) for source in sources)
        read = [by_name.get(name) for name in names]
        reads = Reads(
            channels=tuple(context.channels if layer is None else layer.call.channels for layer in read),
            strides=tuple(Fraction(1) if layer is None else layer.call.stride for layer in read),
            is_list=isinstance(row.source, list),
        )
        layer = _resolve_row(row, names, reads, context)
        units += layer.number
        if units > MAX_UNITS:
            raise row.error(f"the rows so far repeat {units} times, more than {MAX_UNITS}; lower the numbers")
        layers.append(layer)
        by_name[layer.name] = layer
    return layers


def _resolve_row(row: Row, names: tuple[str, ...], reads: Reads, context: RowContext) -> Layer:
    common: dict[str, Any] = {
        "name": str(row.index),
        "module": row.module,
        "reads": names,
        "reads_list": reads.is_list,
        "section": row.section,
        "alias": row.alias,
        "origin": row.origin,
    }
    try:
        if row.section == "head":
            args = head_arguments(row, context)
            channels, _ = reads.maps()
            if len(channels) > MAX_LEVELS:
                raise ValueError(f"reads {len(channels)} maps, expected at most {MAX_LEVELS}")
            return Layer(args=args, number=1, call=Call((*args, channels), (), None), **common)
        if row.module not in BLOCKS and row.module not in STOCK and is_mechanism(row.module):
            attention = row_attention(row, reads, context)
            channels_in, stride = reads.one()
            call = Call((), channels_in, stride, attention.repeats)
            return Layer(
                args=(dict(attention.kwargs),), number=attention.repeats, call=call, attention=attention, **common
            )
        rule = find_rule(row.module)
        if not isinstance(row.args, list):
            raise ValueError(f"arguments are {short(row.args)}, expected a list such as [64, 3, 2]")
        args = tuple(literal(arg, context) for arg in row.args)
        if row.module in STOCK and row.module != "nn.Upsample":
            _refuse_text(args)
        number = context.scale.repeats(row.number)
        call = rule(_conv_arguments(args) if row.module == "Conv" else args, number, reads, context.scale)
        if call.stride is not None and not 1 <= call.stride <= MAX_STRIDE:
            raise ValueError(f"its map would have stride {call.stride}; expected 1 to {MAX_STRIDE} pixels of the image")
        return Layer(args=args, number=number, call=call, **common)
    except (ValueError, TypeError, OverflowError) as error:
        raise row.error(error) from None


def _refuse_text(args: Sequence[Any]) -> None:
    """Refuse text that no layer of ultralytics or torch takes; an activation such as "nn.SiLU()" is made later.

    Their constructors would take an unknown text for "no activation" without a word.
    """
    for index, arg in enumerate(args):
        if isinstance(arg, str) and not arg.removeprefix("torch.").startswith("nn."):
            raise ValueError(f"argument {index + 1} is the text {short(arg)}, expected a number, True or None")


def _conv_arguments(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Insert the dilation that Conv rows of YOLOv7 do not have: [c2, k, s, p, g, act] → [c2, k, s, p, g, d, act]."""
    if len(args) == 6 and isinstance(args[5], bool | str):
        return (*args[:5], 1, args[5])
    return args


def find_rule(module: str) -> Rule:
    """Return the channel rule of a block.

    Raises:
        ValueError: with near names, if no block or mechanism has this name.
    """
    if module in BLOCKS:
        return BLOCKS[module].rule
    if module in STOCK:
        return STOCK[module]
    if is_head(module):
        raise ValueError(f"the head '{module}' stands before the last row; it must be the last")
    if "." in module and not module.startswith("nn."):
        canonical(module)  # names what is listed of torch, torchvision and timm
    known = [*BLOCKS.names(), *STOCK, *ATTENTION.names(), *ATTENTION.aliases()]
    raise ValueError(f"unknown module '{module}'{suggestion(module, known)}")


def head_arguments(row: Row, context: RowContext) -> tuple[Any, ...]:
    """Return the head's literal arguments after checking that it is one of a detector.

    Raises:
        ValueError: for another task's head, naming the task, or for arguments that do not fit.
    """
    lowered = row.module.lower()
    for word, task in OTHER_TASKS.items():
        if word in lowered:
            raise ValueError(f"'{row.module}' is a {task} head; this project detects: use a model that ends in Detect")
    if row.module in NOT_DETECTORS:
        raise ValueError(f"'{row.module}' is not supported; use a model that ends in Detect")
    if not is_head(row.module):
        raise ValueError(
            f"the last row must be a detection head such as Detect, found '{row.module}', which is none of "
            f"{', '.join(HEADS.names())}; a file that says `base:` this one and `head: Detect` puts the standard head "
            "on the same maps, or bring its class with --plugin FILE (docs/yaml.md, Heads)"
        )
    if not isinstance(row.args, list):
        raise ValueError(f"arguments are {short(row.args)}, expected a list such as [nc, anchors]")
    args = tuple(literal(arg, context) for arg in row.args)
    if not args or args[0] != context.nc:
        raise ValueError(f"argument 1 is {short(args[0] if args else None)}, expected nc")
    if len(args) > 2 or (len(args) == 2 and not HEADS[row.module].on_anchors):
        raise ValueError(f"has {len(args)} arguments, expected [nc, anchors], or [nc] for a head free of anchors")
    return args


def row_attention(row: Row, reads: Reads, context: RowContext) -> Attention:
    """Read an attention row: [], [{options}], {options}, or the old habit of writing the channels first.

    Raises:
        ValueError: for any other stray argument, saying what to write.
    """
    channels, _ = reads.one()
    options: dict[str, Any] = {}
    rest = [row.args] if isinstance(row.args, dict) else list(row.args)
    if rest and isinstance(rest[0], int) and not isinstance(rest[0], bool):
        if rest[0] != channels and context.scale.channels(rest[0]) != channels:
            raise ValueError(
                f"{rest[0]} is not the number of channels ({channels}), which is inferred: "
                "write [] or an option by name"
            )
        rest = rest[1:]
    if rest and isinstance(rest[0], dict):
        options = dict(rest[0])
        rest = rest[1:]
    if rest:
        raise ValueError(
            f"options of an attention row are written by name, {option_example(row.module)}; found {short(rest[0])}"
        )
    identity = options.pop("identity", context.identity)
    if not isinstance(identity, bool):
        raise ValueError(f"identity is {short(identity)}, expected true or false")
    repeats = context.scale.repeats(row.number)
    return Attention(canonical(row.module), options, identity, repeats, row.origin)


def literal(arg: object, context: RowContext) -> Any:
    """Turn a word of a row into its value: nc, anchors, or a Python literal such as 'None'; other text stays text."""
    if not isinstance(arg, str):
        return arg
    if arg == "nc":
        return context.nc
    if arg == "anchors":
        if context.anchors is None:
            raise ValueError("names 'anchors', but the file has no anchors")
        return context.anchors
    if len(arg) <= 200:
        with contextlib.suppress(ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
            return ast.literal_eval(arg)
    return arg


def _source_name(source: int, row: Row) -> str:
    """Resolve one reference to a layer's name."""
    target = source if source >= 0 else row.index + source
    if target == -1 and row.index == 0:
        return IMAGE
    if target < 0:
        there = f"rows 0 to {row.index - 1}" if row.index else "no rows, only the image (-1)"
        raise row.error(f"reads {source}, which lies before the first row; there are {there} before it")
    if target >= row.index:
        what = "itself" if target == row.index else f"row {target}, which comes later"
        can = f"rows 0 to {row.index - 1}" if row.index else "the image (-1)"
        raise row.error(f"reads {what}; it can read {can} only")
    return str(target)
