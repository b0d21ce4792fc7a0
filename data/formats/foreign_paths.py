"""Names of files that hold on the machine where they were written, and not here."""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

_DRIVE = re.compile(r"[A-Za-z]:")


def endings(name: str) -> Iterator[PurePosixPath]:
    """Yield the endings of a name with a drive, from the root or from `..`, the longest first; of others nothing."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or (path.parts and (path.parts[0] == ".." or _DRIVE.match(path.parts[0]))):
        yield from (PurePosixPath(*path.parts[first:]) for first in range(1, len(path.parts)))
