"""Put another head on a model's maps: the `head:` of an overlay."""

from collections.abc import Mapping
from typing import Any

from models.catalog.heads import HEADS, on_anchors
from models.catalog.registry import suggestion
from models.errors import SpecError, short


def replace_head(data: Mapping[str, Any], asked: object, where: str) -> tuple[list[Any], str]:
    """Return a description's rows after the backbone with another last row, and a line that says what that costs.

    The new head reads the maps that the old one read, and its anchors where it predicts on any and the file has them.

    Args:
        data: the description under the overlay; it is not changed.
        asked: what the overlay says.
        where: file, for messages.

    Raises:
        SpecError: if it is no head that there is, or the description has no rows.
    """
    if not isinstance(asked, str):
        raise SpecError(
            f"{where}: head is {short(asked)}, expected the name of a head such as Detect; rows stand in base"
        )
    if asked not in HEADS:
        raise SpecError(f"{where}: unknown head {short(asked)}{suggestion(asked, HEADS.names())}")
    rows = data.get("head")
    last = rows[-1] if isinstance(rows, list) and rows else None
    if not isinstance(rows, list) or not isinstance(last, list) or len(last) < 4:
        raise SpecError(f"{where}: its base has no rows in 'head', so there is none whose maps {asked} could read")
    args = ["nc", "anchors"] if on_anchors(asked) and data.get("anchors") is not None else ["nc"]
    new = [last[0], 1, asked, args]
    note = f"{where}: {asked} reads the maps of {short(last[2])}, whose own layers and weights are lost"
    return [*rows[:-1], new], note
