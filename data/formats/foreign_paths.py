"""Names of files that hold on the machine where they were written, and not here."""

import re
import unicodedata
from collections.abc import Iterator
from pathlib import PurePosixPath

_DRIVE = re.compile(r"[A-Za-z]:")


def endings(name: str, *, relative: bool = False) -> Iterator[PurePosixPath]:
    """Yield the endings of a name with a drive, from the root or from `..`, the longest first; of others nothing.

    Args:
        name: as written.
        relative: of others the endings that keep a folder: Darknet and CVAT write `data/obj/a.jpg` wherever `obj` lies.
    """
    path = PurePosixPath(name.replace("\\", "/"))
    foreign = path.is_absolute() or (path.parts and (path.parts[0] == ".." or _DRIVE.match(path.parts[0])))
    kept = 1 if foreign else 2
    if foreign or relative:
        yield from (PurePosixPath(*path.parts[first:]) for first in range(1, len(path.parts) - kept + 1))


def other_accents(name: str) -> list[str]:
    """Return the other spellings of a name with accents or Korean letters, which macOS takes apart."""
    if name.isascii():
        return []
    return [other for form in ("NFC", "NFD") if (other := unicodedata.normalize(form, name)) != name]
