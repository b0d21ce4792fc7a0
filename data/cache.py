"""Remember what was read of the user's data in a cache folder, never beside them."""

import hashlib
import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from data import files
from data.folders import cache_folder
from data.image_files.image_probe import ImageMetadata, probe_all
from data.records import Issue

_WORTHWHILE = 500  # images from which on remembering their headers saves time
_VERSION = 3  # of what is remembered about an image


def write_atomically(file: Path, content: bytes) -> None:
    """Write a file atomically, in a folder that is made where it is missing."""
    file.parent.mkdir(parents=True, exist_ok=True)
    files.write_atomically(file, content)


def probe_cached(
    paths: Sequence[Path], progress: Callable[[int], object] | None = None, channels: int = 3
) -> list[ImageMetadata]:
    """Probe, and remember each finding as long as the image's size and time of change stay the same."""
    probe = probe_all if channels == 3 else partial(probe_all, channels=channels)
    if len(paths) < _WORTHWHILE:
        return probe(paths, progress)
    listed = "\0".join([*map(str, paths), *([] if channels == 3 else [f"{channels} channels"])])
    listing = hashlib.blake2b(listed.encode(errors="surrogateescape"), digest_size=16)
    file = cache_folder() / "images" / f"{listing.hexdigest()}.json"
    known = _load(file)
    stamps = [_stamp(path) for path in paths]
    metadata_at: dict[int, ImageMetadata] = {}
    for index, (path, stamp) in enumerate(zip(paths, stamps, strict=True)):
        entry = known.get(str(path))
        if stamp and entry and entry[0] == stamp:
            metadata_at[index] = _metadata(path, entry)
    if progress:
        progress(len(metadata_at))
    new = [index for index in range(len(paths)) if index not in metadata_at]
    metadata_at.update(zip(new, probe([paths[index] for index in new], progress), strict=True))
    if new:
        entries = {str(path): _entry(stamps[index], metadata_at[index]) for index, path in enumerate(paths)}
        try:
            write_atomically(file, json.dumps({"version": _VERSION, "images": entries}).encode())
        except OSError:  # a read-only or full disk: the headers are read again next time
            pass
    return [metadata_at[index] for index in range(len(paths))]


def _stamp(path: Path) -> list[int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]


def _entry(stamp: list[int] | None, metadata: ImageMetadata) -> list:
    return [
        stamp,
        metadata.width,
        metadata.height,
        [[issue.kind, issue.message, issue.action] for issue in metadata.issues],
    ]


def _metadata(path: Path, entry: list) -> ImageMetadata:
    _, width, height, issues = entry
    return ImageMetadata(width, height, tuple(Issue(path, None, kind, text, action) for kind, text, action in issues))


def _load(file: Path) -> dict[str, list]:
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return content["images"] if isinstance(content, dict) and content.get("version") == _VERSION else {}
