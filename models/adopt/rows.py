"""Say of each row of a fork's description what becomes of it here."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from models.catalog.dialects import is_word, structure_named
from models.catalog.fused_words import split_fused
from models.catalog.heads import is_head
from models.catalog.registry import BLOCKS
from models.catalog.ultralytics_layers import STOCK
from models.errors import SpecError
from models.lint.nearest_base import NearestBase
from models.spec.header import Settings
from models.spec.layer import Attention, Layer
from models.spec.resolve import resolve_rows
from models.spec.row import Row

KEPT, RENAMED, OPTION, FUSED, REPLACED, UNKNOWN = "kept", "renamed", "option", "fused", "replaced", "unknown"


@dataclass(frozen=True)
class RowStatus:
    """What becomes of one row.

    Attributes:
        row: as written.
        status: "kept" (as it is), "renamed" (another word for a mechanism that is here), "option" (its arguments are
            read as options), "fused" (a block with attention built in), "replaced" (it stands in the place of a row of
            the stock model), "unknown" (it cannot be built; `note` says why).
        note: what was understood, or why not.
    """

    row: Row
    status: str
    note: str = ""

    def __str__(self) -> str:
        """Return one line."""
        name = f"row {self.row.index} {self.row.module}"
        return f"  {name}: {self.status}{': ' + self.note if self.note else ''}"


def row_statuses(settings: Settings, base: NearestBase | None, shown: Collection[int] = ()) -> list[RowStatus]:
    """Return what becomes of each row.

    Rows after one that cannot be built are judged by their words alone, since their channels are not known.

    Args:
        settings: of the fork's description.
        base: the stock model that it was made from, None if there is none near.
        shown: rows whose structure the tensors of a checkpoint show.
    """
    layers: list[Layer] = []
    failure = ""
    try:
        resolve_rows(settings.rows, settings.context, layers)
    except SpecError as error:
        failure = str(error).removeprefix(f"{settings.rows[len(layers)].origin}: ")
    found = [_of_layer(row, layer, base, shown) for row, layer in zip(settings.rows, layers, strict=False)]
    for row in settings.rows[len(layers) :]:
        if row.index == len(layers):
            found.append(RowStatus(row, UNKNOWN, failure))
        elif _is_known(row):
            found.append(RowStatus(row, KEPT, "not checked, since a row before it is unknown"))
        else:
            found.append(RowStatus(row, UNKNOWN, f"there is no {row.module} here"))
    return found


def unknown_rows(statuses: Sequence[RowStatus]) -> list[RowStatus]:
    """Return those that cannot be built."""
    return [status for status in statuses if status.status == UNKNOWN]


def _of_layer(row: Row, layer: Layer, base: NearestBase | None, shown: Collection[int]) -> RowStatus:
    note = f"{layer.dialect}, as the shapes of the checkpoint's tensors show" if row.index in shown else layer.note
    if layer.attention is not None:
        options = _written_options(row, layer.attention, layer.dialect)
        if options:
            said = ", ".join(f"{name}: {value}" for name, value in options.items())
            return RowStatus(row, OPTION, f"{said}; {note}" if row.index in shown else note or said)
        if layer.attention.module != row.module:
            return RowStatus(row, RENAMED, f"{layer.attention.module}{'; ' + note if note else ''}")
        return RowStatus(row, KEPT, note)
    if layer.inside:
        return RowStatus(row, FUSED, note)
    if base is not None and row.index in base.pairing.replaced:
        old = base.settings.rows[base.pairing.replaced[row.index]]
        return RowStatus(row, REPLACED, f"stands in the place of {old.module} of {base.name}")
    return RowStatus(row, KEPT, note)


def _written_options(row: Row, attention: Attention, dialect: str) -> dict[str, Any]:
    """Return the options that the row writes, those of its structure left out."""
    own = structure_named(row.module, dialect).options if dialect else {}
    return {name: value for name, value in attention.kwargs.items() if own.get(name) != value}


def _is_known(row: Row) -> bool:
    known = row.module in BLOCKS or row.module in STOCK or is_word(row.module) or is_head(row.module)
    return known or split_fused(row.module) is not None
