"""Hashing a file's content."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

_BLOCK = 1 << 20  # bytes read at once


def blocks(path: Path) -> Iterator[bytes]:
    """Yield a file's content in pieces that fit in memory."""
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            yield block


def file_hash(path: Path, kind: str = "sha256") -> str:
    """Return the hexadecimal hash of a file's content.

    Args:
        path: of the file.
        kind: as hashlib calls it.
    """
    made = hashlib.new(kind, usedforsecurity=False)
    for block in blocks(path):
        made.update(block)
    return made.hexdigest()
