"""A row whose block has attention built in, such as C3CBAM → the block, and the attention inside it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from models.catalog.dialect_table import PLACEMENTS, Structure
from models.catalog.dialects import FAMILIES, Dialect, choose, names_of_structures, structure_named, structures
from models.catalog.fused_words import Fused, Placement
from models.catalog.mechanisms import options as options_of
from models.errors import short
from models.spec.attention_row import Reading
from models.spec.layer import Attention, InnerAttention
from models.spec.row import Row

# Blocks whose rows are [channels, shortcut, …].
_SHORTCUT_SECOND = frozenset({"BottleneckCSP", "C2", "C2f", "C3", "C3Ghost", "C3TR", "C3x"})


@dataclass(frozen=True)
class FusedRow:
    """What a row of a fused block means.

    Attributes:
        block: name of the block.
        args: of the block, as a row of its own would write them.
        inside: the attention in it.
        dialect: what was chosen, as `dialect:` says it.
        note: what was understood.
    """

    block: str
    args: list[Any]
    inside: InnerAttention | None
    dialect: str
    note: str


def read_fused(row: Row, fused: Fused, dialect: Dialect, identity: bool, literal: Callable[[object], Any]) -> FusedRow:
    """Read a row such as `[-1, 3, C3CBAM, [128]]`, or `[-1, 3, C3CBAM, [128, {where: last}]]`.

    Args:
        row: as written; a mapping at the end of its arguments holds options of the mechanism, `dialect` and `identity`.
        fused: its name, split.
        dialect: of the description.
        identity: whether the description's attention starts as the identity.
        literal: evaluates a word of a row.

    Raises:
        ValueError: for an option that the mechanism does not have, or a dialect that does not exist.
    """
    if not isinstance(row.args, list):
        raise ValueError(f"arguments are {short(row.args)}, expected a list such as [64, {{dialect: last}}]")
    args = [literal(arg) for arg in row.args]
    named: dict[str, Any] = dict(args.pop()) if args and isinstance(args[-1], dict) else {}
    starts = named.pop("identity", identity)
    if not isinstance(starts, bool):
        raise ValueError(f"identity is {short(starts)}, expected true or false")
    said = str(named.pop("dialect", None) or dialect.said(row.module, row.index) or dialect.default)
    placement, structure = _chosen(row, fused, dialect, said)
    known = () if structure.block else tuple(options_of(structure.module))
    for key in named:
        if key not in known:
            raise ValueError(f"{fused.mechanism} has no option {short(key)}; it takes {', '.join(known) or 'none'}")
    attention = Attention(structure.module, {**structure.options, **named}, starts, 1, row.origin)
    return FusedRow(
        placement.block,
        _filled(args, placement.fill),
        InnerAttention(attention, placement.where),
        f"{placement.name}+{structure.name}",
        _note(row.module, fused, placement, structure) + _flag_note(fused, args),
    )


def _chosen(row: Row, fused: Fused, dialect: Dialect, said: str) -> tuple[Placement, Structure]:
    """Return the placement and the mechanism's structure: as said, "last", "forks" or "last+forks", else by family."""
    placement: Placement | None = None
    structure: Structure | None = None
    for part in filter(None, said.split("+")):
        named = next((p for p in fused.placements if p.name == part), None)
        if named is not None:
            placement = named
        elif part in FAMILIES or part in {s.name for s in structures(fused.mechanism)}:
            structure = structure_named(fused.mechanism, part)
        elif said != dialect.default and (part in PLACEMENTS or part not in names_of_structures()):
            there = [p.name for p in fused.placements] + [s.name for s in structures(fused.mechanism)]
            raise ValueError(f"{row.module} has no dialect {short(part)}; it has {', '.join(there)}")
    if structure is None:
        likely = choose(fused.mechanism, dialect, as_forks=True)
        structure = next((s for s in likely if not s.block), likely[0])
    if structure.block or not structure.module:
        raise ValueError(f"{structure.name} of {fused.mechanism} is a block of its own, which no block can hold")
    return placement or fused.placements[0], structure


def _flag_note(fused: Fused, args: list[Any]) -> str:
    """Say that a number in the place of a block's shortcut is no option of the mechanism; "" where there is none."""
    if fused.block not in _SHORTCUT_SECOND or len(args) < 2 or args[1] is None or isinstance(args[1], bool):
        return ""
    return f"; {short(args[1])} is shortcut, read as {bool(args[1])}: options of {fused.mechanism} are written by name"


def _note(word: str, fused: Fused, placement: Placement, structure: Structure) -> str:
    """Return one line on how a fused block is built and how else it could be."""
    others = [f"{p.name} ({p.about})" for p in fused.placements if p is not placement]
    also = f"; it may also be {', '.join(others)}: choose with dialect: {{{word}: NAME}}" if others else ""
    inner = [s.name for s in structures(fused.mechanism) if s is not structure and not s.block]
    more = f" (or {', '.join(inner)})" if inner else ""
    about = f"{structure.name}{more}"
    return f"{word} is built as {fused.block} with {placement.about}, {fused.mechanism} as {about}{also}"


def within_block(row: Row, reading: Reading, identity: bool) -> FusedRow:
    """Return a word of attention whose structure is a block, such as CBAM with a convolution before it."""
    structure = reading.structure
    starts = identity if reading.identity is None else reading.identity
    known = options_of(structure.module) if structure.module else []
    options = {key: value for key, value in reading.options.items() if key in known}
    positional = [value for key, value in reading.options.items() if key not in known]
    channels = row.args[:1] if isinstance(row.args, list) else []
    if structure.module:
        attention = Attention(structure.module, {**structure.options, **options}, starts, 1, row.origin)
        inside = InnerAttention(attention, structure.where)
    args = _filled([*channels, *positional], structure.fill)
    return FusedRow(structure.block, args, inside if structure.module else None, structure.name, reading.note)


def _filled(args: list[Any], fill: tuple[Any, ...]) -> list[Any]:
    """Return a row's arguments, channels first, with the rest of a block's usual ones after them."""
    return [*args, *fill[max(len(args) - 1, 0) :]]
