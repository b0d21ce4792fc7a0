"""Write files whole or not at all, and hash their content."""

import contextlib
import hashlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import get_ident
from typing import Any, BinaryIO

_BLOCK = 1 << 20  # bytes read at once
HOLDS_OPEN_FILES = sys.platform == "win32"  # a file that another program has open cannot be replaced there
_WAITS = (0.1, 0.3, 1.0, 2.0)  # seconds: a virus scanner looks at new files for a moment


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


def write_atomically(path: Path, content: bytes | Callable[[BinaryIO], Any], draft: str | None = None) -> None:
    """Write a file so that a reader finds the old content or the new, whatever happens in between.

    A temporary file beside `path` is filled, brought to the disk and renamed. A link at `path` is followed, so that the
    file that it names is the one replaced.

    Args:
        path: target file.
        content: bytes, or what fills a binary stream.
        draft: name of the temporary file; None takes one of this thread's own, so that several may write one file.

    Raises:
        OSError: if the system refuses; the file at `path` is unchanged, the temporary one removed.
    """
    target = path.resolve()
    temporary = target.with_name(draft or f".{target.name}-{os.getpid()}-{get_ident()}")
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0)
        with os.fdopen(os.open(temporary, flags, 0o666), "wb") as stream:
            _fill(stream, content if callable(content) else lambda stream: stream.write(content))
            stream.flush()
            os.fsync(stream.fileno())
        _rename(temporary, target)
    except BaseException:  # also KeyboardInterrupt: no half file stays
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    _sync_folder(target.parent)


def _rename(draft: Path, target: Path) -> None:
    """Rename a file to another that may be there; on Windows wait for whoever has that open."""
    for wait in _WAITS if HOLDS_OPEN_FILES else ():
        try:
            draft.replace(target)
            return
        except PermissionError:
            time.sleep(wait)
    draft.replace(target)


def _fill(stream: BinaryIO, write: Callable[[BinaryIO], Any]) -> None:
    """Run `write`; an OSError of the stream comes out as it is, also where torch turns it into a RuntimeError."""
    watched = _Watched(stream)
    try:
        write(watched)  # type: ignore[arg-type]
    except RuntimeError:
        if watched.error is not None:
            raise watched.error from None
        raise
    if watched.error is not None:
        raise watched.error


class _Watched:
    """A stream that remembers the first OSError of a write."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        """Write all of `data`."""
        try:
            return self.stream.write(data)
        except OSError as error:
            self.error = self.error or error
            raise

    def flush(self) -> None:
        """Hand buffered bytes to the system."""
        self.stream.flush()


def _sync_folder(folder: Path) -> None:
    """Bring the rename itself to the disk, where the system lets a folder be opened (not on Windows)."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
