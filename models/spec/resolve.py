"""Rows of a model YAML → base layers with every `from` resolved to a name."""

import ast
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from typing import Any

from attention import ATTENTION
from models import blocks as _blocks  # noqa: F401 - fills the registry
from models.catalog.channel_rules import Call, Reads, Rule, Scale
from models.catalog.dialect_table import STRUCTURES
from models.catalog.dialects import Dialect, is_word, structures
from models.catalog.fused_words import split_fused
from models.catalog.heads import HEADS, is_head
from models.catalog.mechanisms import canonical
from models.catalog.registry import BLOCKS, suggestion
from models.catalog.ultralytics_layers import STOCK
from models.errors import short
from models.spec.attention_row import Reading, attention_of, read_attention
from models.spec.fused_row import FusedRow, read_fused, within_block
from models.spec.layer import IMAGE, Layer
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
    dialect: Dialect = field(default_factory=Dialect)


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
        if row.section != "head" and is_head(row.module):
            raise ValueError(f"{row.module} is a head, which must be the last row: remove the rows after it")
        if row.section == "head":
            args = head_arguments(row, context)
            channels, _ = reads.maps()
            if len(channels) > MAX_LEVELS:
                raise ValueError(f"reads {len(channels)} maps, expected at most {MAX_LEVELS}")
            return Layer(args=args, number=1, call=Call((*args, channels), (), None), **common)
        if row.module not in BLOCKS and (row.module not in STOCK or _means_attention(row, context)):
            if is_word(row.module):
                return _attention_layer(row, reads, context, common)
            fused = split_fused(row.module)
            if fused is not None:
                read = read_fused(row, fused, context.dialect, context.identity, partial(literal, context=context))
                return _fused_layer(row, read, reads, context, common)
        if not isinstance(row.args, list):
            find_rule(row.module)
            raise ValueError(f"arguments are {short(row.args)}, expected a list such as [64, 3, 2]")
        args = tuple(literal(arg, context) for arg in row.args)
        return Layer(args=args, **_block(row.module, args, row, reads, context), **common)
    except (ValueError, TypeError, OverflowError) as error:
        raise row.error(error) from None


def _means_attention(row: Row, context: RowContext) -> bool:
    """Tell whether a word of ultralytics' blocks means attention in this file: PSA in one of YOLOv5's family."""
    if row.module not in STRUCTURES:
        return False
    named = isinstance(row.args, list) and bool(row.args) and isinstance(row.args[-1], dict)
    said = context.dialect.said(row.module, row.index)
    return named or bool(said) or context.dialect.family not in ("ultralytics", "paper")


def _attention_layer(row: Row, reads: Reads, context: RowContext, common: dict[str, Any]) -> Layer:
    """Resolve a row of attention; some of its words may mean a block that holds attention."""
    reading: Reading = read_attention(row, reads, context.scale, context.dialect, partial(literal, context=context))
    if reading.structure.block:
        return _fused_layer(row, within_block(row, reading, context.identity), reads, context, common)
    repeats = context.scale.repeats(row.number)
    attention = attention_of(reading, repeats, context.identity, row.origin)
    channels, stride = reads.one()
    call = Call((), channels, stride, repeats)
    return Layer(
        args=(dict(attention.kwargs),),
        number=repeats,
        call=call,
        attention=attention,
        note=reading.note,
        dialect=reading.structure.name if len(structures(row.module)) > 1 else "",
        **common,
    )


def _fused_layer(row: Row, read: FusedRow, reads: Reads, context: RowContext, common: dict[str, Any]) -> Layer:
    """Resolve a row of a block with attention inside it."""
    args = tuple(literal(arg, context) for arg in read.args)
    return Layer(
        args=args,
        inside=() if read.inside is None else (read.inside,),
        note=read.note,
        dialect=read.dialect,
        **_block(read.block, args, row, reads, context),
        **{**common, "module": read.block},
    )


def _block(module: str, args: tuple[Any, ...], row: Row, reads: Reads, context: RowContext) -> dict[str, Any]:
    """Return the number and the call of a block with these arguments."""
    rule = find_rule(module)
    if module in STOCK and module != "nn.Upsample":
        _refuse_text(args)
    number = context.scale.repeats(row.number)
    call = rule(_conv_arguments(args) if module == "Conv" else args, number, reads, context.scale)
    if call.stride is not None and not 1 <= call.stride <= MAX_STRIDE:
        raise ValueError(f"its map would have stride {call.stride}; expected 1 to {MAX_STRIDE} pixels of the image")
    return {"number": number, "call": call}


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
