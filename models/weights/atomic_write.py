"""Write checkpoints atomically, and say what to do where the system refuses."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from data import files
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
        files.write_atomically(path, write, draft=f".{path.resolve().name}.tmp")
    except OSError as error:
        remedy = _REMEDY.get(error.errno or 0, "see the system's message")
        raise CheckpointError(
            f"{path}: cannot be written ({error.strerror or error}); {remedy}; the previous file is kept"
        ) from error
