"""Read size and state of image files: each is decoded once, and JPEGs, the most frequent, at an eighth of the size."""

import os
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from data.image_files import image_channels, image_io
from data.image_files.image_io import MAX_PIXELS
from data.records import Issue

_JPEG_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".pjp", ".pjpeg", ".mpo")  # browsers on Windows write .jfif
SUFFIXES = frozenset(_JPEG_SUFFIXES) | frozenset(
    ".bmp .dib .jp2 .pbm .pgm .png .pnm .ppm .tif .tiff .webp .avif .gif .heic .heif".split()
)
_OWN_SUFFIXES = {  # by Pillow's name of the format, the usual one first
    "JPEG": _JPEG_SUFFIXES,
    "MPO": _JPEG_SUFFIXES,
    "PNG": (".png",),
    "BMP": (".bmp", ".dib"),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "HEIF": (".heic", ".heif"),
}
_DARK = 1 << 14  # below this value an image of 16 bits is dark: its high 8 bits reach a quarter of the scale
NO_HEIF = "is a HEIC image; to read it: pip install pillow-heif"
_JPEG = ("JPEG", "MPO")
_TAIL = 4096  # bytes at the end of a JPEG among which its end marker is looked for
NOT_UTF8 = "has a name that is not UTF-8; rename it"
_BATCH = 4096  # files handed to the threads at a time

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class ImageMetadata:
    """Size and faults of an image file.

    Args:
        width: pixels as `image_io.read` shows it; 0 if it cannot be used.
        height: likewise.
        issues: what is wrong; the file is unusable exactly when width is 0.
    """

    width: int
    height: int
    issues: tuple[Issue, ...] = ()


def probe(path: Path, decode: bool = True, channels: int = 3) -> ImageMetadata:
    """Find out whether an image can be used, and its size as `image_io.read` will show it.

    Nothing is raised for any content of the file: a fault becomes an Issue.

    Args:
        path: the image.
        decode: try to decode it; a caller that does so anyway saves the time, and gets the size that the header says.
        channels: that it is expected to have, see `image_channels.read`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of odd EXIF data, which concerns nobody here
        return _probe(path, decode, channels)


def probe_all(
    paths: Sequence[Path],
    progress: Callable[[int], object] | None = None,
    workers: int | None = None,
    channels: int = 3,
) -> list[ImageMetadata]:
    """Call probe() for many files, in their order; `progress` is called with 1 after each."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as above
        return in_threads(partial(_probe, channels=channels), paths, progress, workers)


def in_threads(
    function: Callable[[Path], Result],
    paths: Sequence[Path],
    progress: Callable[[int], object] | None = None,
    workers: int | None = None,
) -> list[Result]:
    """Call a function for many files, in their order. Reading and decoding leave Python's lock, so threads do."""
    results: list[Result] = []
    with ThreadPoolExecutor(workers or min(8, (os.cpu_count() or 1) * 2)) as pool:
        for start in range(0, len(paths), _BATCH):  # not all at once: a waiting task takes a kilobyte
            for result in pool.map(function, paths[start : start + _BATCH]):
                results.append(result)
                if progress:
                    progress(1)
    return results


def is_utf8(path: str | Path) -> bool:
    """Tell whether a path is UTF-8 throughout; OpenCV crashes, and the process with it, when given any other."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _probe(path: Path, decode: bool = True, channels: int = 3) -> ImageMetadata:
    if not is_utf8(path):
        return _unusable(path, "bad-path", NOT_UTF8)
    if not os.path.exists(path):  # noqa: PTH110 - Path.exists raises for names that are too long
        return _unusable(path, "missing", "there is no such file")
    if not path.is_file():
        return _unusable(path, "not-a-file", "is not a file but a folder or device")
    if path.stat().st_size == 0:
        return _unusable(path, "unreadable", "is empty (0 bytes)")
    if channels != 3 and path.suffix.lower() == image_channels.ARRAYS:
        return _probe_stored(path, channels, [])
    from PIL.Image import DecompressionBombError

    try:
        return _probe_with_pillow(path, decode, channels)
    except DecompressionBombError:  # raised by Pillow itself from twice its own limit on
        text = f"has more than {MAX_PIXELS // 10**6} million pixels; cut it into tiles"
        return _unusable(path, "too-large", text)
    except Exception as error:  # noqa: BLE001 - decoders raise anything on hostile files; the reason is reported
        reason = f"is no readable image: {_short(_cause(error))}".replace(f" '{path}'", "")
        return _probe_other_tiff(path, reason) if _is_tiff(path) else _unusable(path, "unreadable", reason)


def _is_tiff(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(4) in image_io.TIFF_STARTS
    except OSError:
        return False


def _probe_other_tiff(path: Path, reason: str) -> ImageMetadata:
    """Read a TIFF that Pillow does not know: of 32 or 64 bits in several channels; say what else to write."""
    image = image_io.read(path)
    if image is None:
        text = f"{reason}; write this TIFF with 8 or 16 bits a channel in 1, 3 or 4 channels, or as PNG"
        return _unusable(path, "unreadable", text)
    return ImageMetadata(image.shape[1], image.shape[0], tuple(_remarks(path, True, False)))


def _probe_stored(path: Path, channels: int, notes: list[Issue]) -> ImageMetadata:
    """Read an image of other channels than grey or colour, of which only decoding tells how many it has."""
    image = image_channels.read(path, channels)
    if image is None:
        array = path.suffix.lower() == image_channels.ARRAYS
        text = "is no array of numbers (h, w, channels)" if array else "OpenCV cannot decode it"
        return _unusable(path, "unreadable", text)
    wrong = image_channels.mismatch(image, channels)
    if wrong:
        return _unusable(path, "channels", wrong)
    return ImageMetadata(image.shape[1], image.shape[0], tuple(notes))


def _probe_with_pillow(path: Path, decode: bool, channels: int) -> ImageMetadata:
    from PIL import Image

    with path.open("rb") as file:
        if image_io.is_heif(file.read(12)) and not image_io.register_heif():
            return _unusable(path, "unreadable", NO_HEIF)
    with Image.open(path) as image:
        file_format, (width, height) = image.format or "?", image.size
        deep, several = _is_deep(image), _has_frames(image)
        if width * height > MAX_PIXELS:
            raise Image.DecompressionBombError
        orientation = Image.Image.getexif(image).get(0x0112)  # a PNG's own getexif decodes the whole image
        if file_format == "PNG":
            image.verify()  # walks the chunks and their checksums
    if channels not in (1, 3) and decode:
        return _probe_stored(path, channels, _remarks(path, deep, False))
    shown = _shown_size(path, file_format, width, height) if decode else (width, height)
    if shown is None:
        return _unusable(path, "unreadable", f"OpenCV cannot decode this {file_format} file; write it as JPEG or PNG")
    notes = []
    if shown == (height, width) != (width, height):
        text = f"EXIF orientation {orientation}: used as shown, {height}×{width}"
        notes.append(Issue(path, None, "exif-rotated", text, "used"))
    notes += _remarks(path, deep, several and channels in (1, 3))
    if path.suffix.lower() not in _OWN_SUFFIXES.get(file_format, (path.suffix.lower(),)):
        notes.append(Issue(path, None, "wrong-suffix", f"is a {file_format} file", "used"))
    if file_format in _JPEG and not _ends_properly(path):
        if not _decodes_to_the_end(path):
            return _unusable(path, "truncated", "the JPEG data stop before the end of the image")
        notes.append(Issue(path, None, "no-end-marker", "JPEG without an end marker, otherwise complete", "used"))
    return ImageMetadata(shown[0], shown[1], tuple(notes))


def _is_deep(image: Any) -> bool:
    """Tell whether an image may have more than 8 bits a channel, by its header; of JPEG 2000 only decoding tells."""
    if image.format == "PPM" and isinstance(image.tile[0][3], tuple):
        return image.tile[0][3][1] > 255  # the greatest value that the header admits
    if image.format == "JPEG2000" or image.mode.startswith(("I", "F")):
        return True
    return any("16" in str(tile[3]) for tile in image.tile[:1])


def _has_frames(image: Any) -> bool:
    """Tell whether a file has several images of which one is read; the second of an MPO is for stereo displays only."""
    return image.format in ("AVIF", "GIF", "PNG", "TIFF", "WEBP") and bool(getattr(image, "is_animated", False))


def _remarks(path: Path, deep: bool, several: bool) -> list[Issue]:
    """Return what is used, but not as one would expect."""
    remarks = []
    if several:
        remarks.append(Issue(path, None, "several-frames", "holds several frames or pages", "the first used"))
    stored = image_io.greatest_value(path) if deep else None
    if stored is not None and stored[0] != "uint8" and (stored[0] != "uint16" or stored[1] < _DARK):
        kind, value = stored
        shown = f"at most {int(value) >> 8} of 255" if kind == "uint16" else "cut to whole numbers"
        text = f"stores {kind} up to {value:.6g}, which is seen as 8 bits, {shown}; --stretch spreads the values"
        remarks.append(Issue(path, None, "deep", text, "used"))
    return remarks


def _shown_size(path: Path, file_format: str, width: int, height: int) -> tuple[int, int] | None:
    """Return width and height as `image_io.read` shows an image; None if it cannot.

    Whether it turns an image depends on the format and on where the tag stands. Of a JPEG, an eighth of the size
    decodes in a fifth of the time, and fails where the whole would fail.
    """
    eighth = -(-width // 8), -(-height // 8)
    if file_format in _JPEG and (width == height or eighth[0] != eighth[1]):
        small = image_io.read(path, grey_eighth=True)
        if small is None:
            return None
        return (width, height) if small.shape[1::-1] == eighth else (height, width)
    shown = image_io.read(path)
    return None if shown is None else (shown.shape[1], shown.shape[0])


def _ends_properly(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL))
        if b"\xff\xd9" in file.read():
            return True
    from PIL import Image

    try:
        with Image.open(path) as image:  # much junk after the end: decode to be sure
            image.load()
    except (OSError, SyntaxError):
        return False
    return True


def _decodes_to_the_end(path: Path) -> bool:
    """Tell whether a JPEG without end marker is complete: where data are missing libjpeg repeats one flat colour."""
    shown = image_io.read(path)
    return shown is not None and bool((shown[-1] != shown[-1, 0]).any())


def _unusable(path: Path, kind: str, text: str) -> ImageMetadata:
    return ImageMetadata(0, 0, (Issue(path, None, kind, text, "image skipped"),))


def _cause(error: Exception) -> BaseException:
    """Return what Pillow itself said: ultralytics, once imported, looks for a package where Pillow knows no format."""
    return error.__context__ if isinstance(error, ImportError) and error.__context__ else error


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def proper_suffix(path: Path) -> str:
    """Return the suffix that an image should have: its own if that fits its content."""
    file_format = sniff(path)
    fitting = _OWN_SUFFIXES.get(file_format or "", (path.suffix.lower(),))
    return path.suffix if path.suffix.lower() in fitting else fitting[0]


def sniff(path: Path) -> str | None:
    """Return the format name of an image by its first bytes, whatever its suffix; None for other files."""
    from PIL import Image

    try:
        if not path.is_file():  # opening a pipe would wait for its other end
            return None
        with Image.open(path) as image:
            return image.format
    except Exception:  # noqa: BLE001 - anything that cannot be opened is no image
        return None
