"""Write a file so that a reader finds the old content or the new, whatever happens in between."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from models.errors import CheckpointError

_REMEDY = {
    errno.ENOSPC: "free some space on that disk",
    errno.EDQUOT: "free some of your quota on that disk",
    errno.EFBIG: "raise the limit of file sizes (ulimit -f)",
    errno.EROFS: "choose a folder that can be written",
    errno.EACCES: "choose a folder that can be written, or change its permissions",
    errno.EPERM: "choose a folder that can be written, or change its permissions",
    errno.ENOENT: "its folder does not exist (was it deleted?); create it",
    errno.ENOTDIR: "a part of the path is a file; choose another",
    errno.EISDIR: "a folder of that name exists; choose another name",
}


def write_atomically(path: Path, write: Callable[[BinaryIO], Any]) -> None:
    """Let `write` fill a temporary file beside `path`, bring it to the disk, and rename it to `path`.

    A link at `path` is followed, so that the file that it names is the one replaced. The temporary file has a fixed
    name (one writer per file is assumed), so what a kill leaves behind is overwritten by the next write.

    Args:
        path: target file.
        write: gets a binary stream open for writing.

    Raises:
        CheckpointError: if the system refuses; the file at `path` is unchanged, the temporary one removed.
    """
    try:
        target = path.resolve()
        temporary = target.with_name(f".{target.name}.tmp")
        try:
            with temporary.open("wb") as stream:
                _fill(stream, write)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(target)
        except BaseException:  # also KeyboardInterrupt: no half file stays
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        _sync_folder(target.parent)
    except OSError as error:
        remedy = _REMEDY.get(error.errno or 0, "see the system's message")
        raise CheckpointError(
            f"{path}: cannot be written ({error.strerror or error}); {remedy}; the previous file is kept"
        ) from error


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
