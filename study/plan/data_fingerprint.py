"""Fingerprint what a split holds: bytes of the images, their boxes, and their order; not where they lie."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from data import Record
from data.cache import write_atomically
from data.files import file_hash
from data.folders import cache_folder
from data.image_files.image_probe import in_threads

_WORTHWHILE = 2000  # images from which on remembering their hashes saves time


def split_fingerprint(records: Sequence[Record]) -> str:
    """Hash images and objects.

    Args:
        records: of a split.

    Returns:
        Hexadecimal SHA-256. It changes with any image's bytes or name, any object, and their order.
    """
    digest = hashlib.sha256()
    for record, content in zip(records, _contents([record.path for record in records]), strict=True):
        digest.update(f"{record.path.name} {content} {len(record)}\n".encode())
        for column in (record.classes, record.boxes_xyxy, record.difficult, record.crowd, record.area):
            digest.update(column.tobytes())
    return digest.hexdigest()


def _contents(paths: list[Path]) -> list[str]:
    """Return each file's hash; large sets are remembered by size and time of change, in the user's cache folder."""
    if len(paths) < _WORTHWHILE:
        return in_threads(_content, paths)
    stamps = [_stamp(path) for path in paths]
    listing = hashlib.sha256("\0".join(map(str, paths)).encode(errors="surrogateescape")).hexdigest()
    file = cache_folder() / "contents" / f"{listing[:32]}.json"
    try:
        known = json.loads(file.read_bytes())
    except (OSError, ValueError):
        known = {}
    new = [path for path, stamp in zip(paths, stamps, strict=True) if known.get(str(path), [""])[0] != stamp]
    fresh = dict(zip(new, in_threads(_content, new), strict=True))
    hashes = [fresh.get(path) or known[str(path)][1] for path in paths]
    if fresh:
        entries = {str(path): entry for path, *entry in zip(paths, stamps, hashes, strict=True)}
        try:
            write_atomically(file, json.dumps(entries).encode())
        except OSError:  # a read-only or full disk: the images are read again next time
            pass
    return hashes


def _content(path: Path) -> str:
    try:
        return file_hash(path)[:32]
    except OSError:
        return "missing"


def _stamp(path: Path) -> str:
    try:
        status = path.stat()
    except OSError:
        return "missing"
    return f"{status.st_size} {status.st_mtime_ns}"
