"""Fetch one file over the network, because the user asked for it: a bar, a limit, a checksum."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from tqdm import tqdm

_CHUNK = 1 << 20
_TIMEOUT = 30.0  # seconds without an answer

Opener = Callable[[str], Any]


class IncompleteDownload(ValueError):
    """What arrived is not the file: too long, or cut off."""


def download_file(
    url: str, target: Path, *, max_bytes: int | None = None, opener: Opener | None = None, label: str = ""
) -> str:
    """Write what an address gives to a file.

    Args:
        url: https, http or file address.
        target: path to write; an existing file is replaced, and what is left after an error is no whole file.
        max_bytes: limit of the length; None for none.
        opener: opens the address and gives a response with `read(n)` and `headers`; for tests.
        label: text before the progress bar, by default the target's name.

    Returns:
        Hexadecimal SHA-256 of what came.

    Raises:
        IncompleteDownload: if more than `max_bytes` came, or less than was announced.
        OSError: as urllib and the file system raise it.
    """
    digest, received = hashlib.sha256(), 0
    with (opener or _open)(url) as response, target.open("wb") as stream:
        length = str(response.headers.get("Content-Length") or "")
        expected = int(length) if re.fullmatch(r"\d{1,15}", length) else None
        with tqdm(total=expected, unit="B", unit_scale=True, desc=label or target.name) as bar:
            while chunk := response.read(_CHUNK):
                received += len(chunk)
                if max_bytes is not None and received > max_bytes:
                    raise IncompleteDownload(f"more than {max_bytes >> 20} MB")
                stream.write(chunk)
                digest.update(chunk)
                bar.update(len(chunk))
        stream.flush()
        os.fsync(stream.fileno())
    if expected is not None and received != expected:
        raise IncompleteDownload(f"{received} of {expected} bytes arrived; try again")
    return digest.hexdigest()


def _open(url: str) -> Any:
    return urlopen(url, timeout=_TIMEOUT)  # noqa: S310 - the caller's addresses are http(s), of tables or the user's own
