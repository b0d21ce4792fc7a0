"""Rows of a model YAML as written: their form is checked, nothing is resolved."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from models.errors import SpecError, short

MAX_ROWS = 2000
MAX_NUMBER = 1000


@dataclass(frozen=True)
class Row:
    """One row as written, split into its parts."""

    index: int
    section: str
    source: int | list[int]
    number: int
    module: str
    args: list[Any] | dict[str, Any]
    alias: str | None
    origin: str

    def error(self, message: object) -> SpecError:
        """Return an error that names file and row."""
        return SpecError(f"{self.origin}: {message}")


def split_rows(data: Mapping[str, Any], label: str) -> list[Row]:
    """Check the form of all rows and split them.

    Raises:
        SpecError: naming file and row of the first that has another form than [from, number, module, args].
    """
    rows: list[Row] = []
    for section in ("backbone", "head"):
        part = data.get(section)
        if not isinstance(part, list) or not part:
            raise SpecError(
                f"{label}: {section} is {short(part)}, expected a list of rows [from, number, module, args]"
            )
        rows += [_split_row(row, len(rows) + i, section, label) for i, row in enumerate(part)]
    if len(rows) > MAX_ROWS:
        raise SpecError(f"{label}: {len(rows)} rows, more than {MAX_ROWS}")
    last = rows[-1]
    rows = [_with_section(row, "neck" if row.section == "head" else row.section) for row in rows[:-1]]
    rows.append(_with_section(last, "head"))
    _check_aliases(rows)
    return rows


def _split_row(row: object, index: int, section: str, label: str) -> Row:
    origin = f"{label} row {index} {short(row)}"
    if not isinstance(row, list | tuple) or len(row) not in (4, 5):
        raise SpecError(f"{origin}: expected [from, number, module, args]")
    source, number, module, args = row[:4]
    sources = source if isinstance(source, list) else [source]
    if not sources or not all(isinstance(s, int) and not isinstance(s, bool) for s in sources):
        raise SpecError(f"{origin}: from is {short(source)}, expected an integer or a list of integers")
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= MAX_NUMBER:
        raise SpecError(f"{origin}: number is {short(number)}, expected an integer from 1 to {MAX_NUMBER}")
    if not isinstance(module, str):
        raise SpecError(f"{origin}: module is {short(module)}, expected a name such as Conv")
    if not isinstance(args, list | dict):
        raise SpecError(f"{origin}: arguments are {short(args)}, expected a list such as [64, 3, 2]")
    alias = row[4] if len(row) == 5 else None
    if isinstance(alias, dict):
        alias = alias.get("name")
    if alias is not None and (not isinstance(alias, str) or not alias.isidentifier()):
        raise SpecError(f"{origin}: the name {short(alias)} is no plain word such as 'stem'")
    return Row(index, section, source, number, module, args, alias, origin)


def _with_section(row: Row, section: str) -> Row:
    return replace(row, section=section)


def _check_aliases(rows: Sequence[Row]) -> None:
    first: dict[str, Row] = {}
    for row in rows:
        if row.alias is None:
            continue
        if row.alias in first:
            raise row.error(f"the name '{row.alias}' is taken by row {first[row.alias].index}; names are unique")
        first[row.alias] = row
