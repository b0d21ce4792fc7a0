"""A fork's model YAML or checkpoint in this project's terms, for the page."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.adopt.adopt import adopt
from models.adopt.rows import unknown_rows
from playground.design import Design

COLUMNS = ("row", "module", "status", "note")


@dataclass(frozen=True)
class Explained:
    """What a fork's file means here.

    Attributes:
        nearest: the stock model that it was made from; empty if there is none near.
        rows: cells of COLUMNS, a row each.
        lines: what was compared and found equal, and what has no place here.
        design: to go on with; None where a row is unknown.
    """

    nearest: str
    rows: list[dict[str, Any]]
    lines: list[str]
    design: Design | None


def explain(file: Path, name: str) -> Explained:
    """Read a fork's file with models.adopt.

    Args:
        file: YAML or checkpoint.
        name: what the user calls it, for the lines.

    Raises:
        SpecError, CheckpointError: if it cannot be read, or is an overlay of this project.
    """
    try:
        found = adopt(file)
    except ValueError as error:
        raise type(error)(str(error).replace(str(file), name)) from None
    rows = [
        dict(zip(COLUMNS, (one.row.index, one.row.module, one.status, one.note.replace(str(file), name)), strict=True))
        for one in found.rows
    ]
    missing = sorted({one.row.module for one in unknown_rows(found.rows)})
    lines = [line.replace(str(file), name) for line in (*found.equal, *found.left)]
    if missing:
        lines.append(f"{', '.join(missing)} cannot be built; paste the class into a file and give it as --plugin FILE")
    design = None
    if found.description is not None:
        description = {key: value for key, value in found.description.items() if key != "attention"}
        design = Design(description, tuple(found.description.get("attention", ())))
    return Explained(found.base.name if found.base else "", rows, lines, design)
