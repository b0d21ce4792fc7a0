"""Expand what --source names into a list of files."""

import os
import re
from pathlib import Path

from data.errors import DataError
from data.folders import expand_home, find_matching
from data.formats.foreign_paths import endings
from data.text_files import decode_text, without_quotes
from engine.errors import UsageError

MOTION_JPEG = frozenset({".mjpg", ".mjpeg"})  # files of JPEGs one after the other; addresses with it are cameras
VIDEOS = MOTION_JPEG | frozenset(
    ".264 .265 .3g2 .3gp .asf .avi .divx .dv .f4v .flv .gif .h264 .h265 .hevc .ivf .m2ts .m2v .m4v .mkv .mov .mp4 .mpe "
    ".mpeg .mpg .mts .mxf .nut .ogv .rm .rmvb .swf .ts .vob .webm .wmv .y4m".split()
)
LIVE = ("rtsp://", "rtmp://", "tcp://", "udp://")
WEB = ("http://", "https://")


MAX_LINES = 10_000_000  # of a text list
_SHOWN = 3  # folders named in a message


def is_live(source: str) -> bool:
    """Tell whether a source is a webcam number, a stream's address or a .streams list."""
    lower = source.lower()
    if lower.startswith(WEB):
        return suffix_of(lower) not in (image_suffixes() | VIDEOS) - MOTION_JPEG
    return source.isnumeric() or lower.startswith(LIVE) or (lower.endswith(".streams") and Path(source).is_file())


def image_suffixes() -> frozenset[str]:
    """Return the suffixes of images, in lower case, with the dot."""
    from data.image_files.image_probe import SUFFIXES

    return SUFFIXES | {".heic", ".heif", ".dng", ".mpo", ".pfm"}


def suffix_of(name: str) -> str:
    """Return the suffix of a path or of an address with its query, in lower case, with the dot."""
    return Path(without_query(name)).suffix.lower()


def without_query(name: str) -> str:
    """Return an address without what follows its question mark, and a path as it is: a file's name may have one."""
    return name.split("?")[0] if "://" in name else name


def list_files(source: str) -> list[str]:
    """List the files that a path, folder, glob, text list or web address stands for, in a fixed order.

    Raises:
        UsageError: if there is nothing.
    """
    from data.config import is_path

    if source.lower().startswith(WEB):
        return [source]
    if not is_path(source):
        raise UsageError(f"--source {source[:80]!r}: is no name that a file can have")
    path = expand_home(source)
    if path.is_dir():
        files = [str(entry) for entry in sorted(path.iterdir()) if _belongs(entry)]
    elif path.suffix.lower() == ".txt" and path.is_file():
        files = _from_list(path)
    elif path.exists() or path.is_symlink():
        files = [str(path)]
    elif re.search(r"[*?\[]", source):
        files = [str(entry) for entry in find_matching(path) if _belongs(entry)]
    else:
        raise UsageError(f"--source {source}: there is no such file or folder (and it is no webcam number or address)")
    if not files and subfolders(source):
        names = ", ".join(Path(folder).name for folder in subfolders(source)[:_SHOWN])
        raise UsageError(
            f"--source {source}: only folders in it ({names}), which are not searched; name them, or their images "
            f"by a pattern: --source '{source.rstrip('/')}/**/*.jpg'"
        )
    if not files:
        raise UsageError(f"--source {source}: nothing in it; give an image, video, folder, glob, .txt list or address")
    return files


def subfolders(source: str) -> list[str]:
    """List the folders in a folder, which are not searched; hidden ones and others' are left out."""
    path = expand_home(source)
    if not path.is_dir():
        return []
    return [
        str(entry)
        for entry in sorted(path.iterdir())
        if entry.is_dir() and not _belongs(entry) and entry.name[0] != "."
    ]


def _belongs(entry: Path) -> bool:
    """Leave out hidden files, and subfolders that do not pretend to be images."""
    if entry.name.startswith("."):
        return False
    return not entry.is_dir() or entry.suffix.lower() in image_suffixes() | VIDEOS


def _from_list(path: Path) -> list[str]:
    try:
        lines = decode_text(path.read_bytes(), path).splitlines()
    except OSError as error:
        raise UsageError(f"--source {path}: cannot be read as a list of files: {error}") from None
    except DataError as error:
        raise UsageError(f"--source {error}") from None
    if len(lines) > MAX_LINES:
        raise UsageError(f"--source {path}: {len(lines)} lines are more than {MAX_LINES}; write several lists")
    return [_listed(line.strip(), path.parent) for line in lines if line.strip()]


def _listed(name: str, folder: Path) -> str:
    """Return the file that a line means: as written or beside the list, without quotes, with Windows' `\\` as `/`.

    Of a name that holds on another machine the longest ending that exists beside the list counts.
    """
    bare = without_quotes(name) or name
    if "://" in name:
        return name if name.lower().startswith((*WEB, *LIVE)) else bare
    for spelling in dict.fromkeys((name, bare, name.replace("\\", "/"), bare.replace("\\", "/"))):
        for file in (spelling, str(folder / spelling)):
            if os.path.exists(file):  # noqa: PTH110 - Path.exists raises for names that are too long
                return file
    moved = (str(folder / ending) for ending in endings(bare, relative=True))
    return next((file for file in moved if os.path.exists(file)), str(folder / name))  # noqa: PTH110 - as above
