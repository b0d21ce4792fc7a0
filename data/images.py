"""Size and state of picture files, mostly from their headers: decoding a whole data set takes hours."""

import os
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from data.formats.records import Issue

SUFFIXES = frozenset(".bmp .dib .jpe .jpeg .jpg .jp2 .mpo .pbm .pgm .png .pnm .ppm .tif .tiff .webp .avif .gif".split())
_OWN_SUFFIXES = {  # by Pillow's name of the format, the usual one first
    "JPEG": (".jpg", ".jpeg", ".jpe", ".mpo"),
    "MPO": (".jpg", ".jpeg", ".jpe", ".mpo"),
    "PNG": (".png",),
    "BMP": (".bmp", ".dib"),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
}
_HEADER_IS_ENOUGH = {"JPEG", "MPO", "PNG"}  # completeness shows without decoding: end marker, chunk checksums
_TAIL = 4096  # bytes at the end of a JPEG among which its end marker is looked for
_BATCH = 4096  # files handed to the threads at a time
_SWAPPING = {5, 6, 7, 8}  # EXIF orientations that exchange width and height

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What is known of a picture file.

    Args:
        width: pixels as cv2.imread shows it; 0 if it cannot be used.
        height: likewise.
        issues: what is wrong; the file is unusable exactly when width is 0.
    """

    width: int
    height: int
    issues: tuple[Issue, ...] = ()


def probe(path: Path) -> ImageFacts:
    """Find out whether a picture can be used, and its size as cv2.imread will show it.

    Nothing is raised for any content of the file: a fault becomes an Issue.
    """
    return probe_all([path], workers=1)[0]


def probe_all(
    paths: Sequence[Path], progress: Callable[[int], object] | None = None, workers: int | None = None
) -> list[ImageFacts]:
    """probe() for many files, in their order; `progress` is called with 1 after each."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of odd EXIF data, which concerns nobody here
        return in_threads(_probe, paths, progress, workers)


def in_threads(
    function: Callable[[Path], Result],
    paths: Sequence[Path],
    progress: Callable[[int], object] | None = None,
    workers: int | None = None,
) -> list[Result]:
    """Results of a function for many files, in their order. Reading and decoding leave Python's lock, so threads do."""
    found: list[Result] = []
    with ThreadPoolExecutor(workers or min(8, (os.cpu_count() or 1) * 2)) as pool:
        for start in range(0, len(paths), _BATCH):  # not all at once: a waiting task takes a kilobyte
            for result in pool.map(function, paths[start : start + _BATCH]):
                found.append(result)
                if progress:
                    progress(1)
    return found


def _probe(path: Path) -> ImageFacts:
    if not path.exists():
        return _unusable(path, "missing", "there is no such file")
    if not path.is_file():
        return _unusable(path, "not-a-file", "is not a file but a folder or device")
    if path.stat().st_size == 0:
        return _unusable(path, "unreadable", "is empty (0 bytes)")
    try:
        return _probe_with_pillow(path)
    except Exception as error:  # noqa: BLE001 - decoders raise anything on hostile files; the reason is reported
        reason = _short(error).replace(f" '{path}'", "")
        return _unusable(path, "unreadable", f"is no readable image: {reason}")


def _probe_with_pillow(path: Path) -> ImageFacts:
    from PIL import Image

    with Image.open(path) as image:
        kind = image.format or "?"
        width, height = image.size
        orientation = Image.Image.getexif(image).get(0x0112, 1)  # a PNG's own getexif decodes the whole picture
        if kind == "PNG":
            image.verify()  # walks the chunks and their checksums, decodes nothing
    notes = []
    if kind not in _HEADER_IS_ENOUGH:
        import cv2

        shown = cv2.imread(str(path))
        if shown is None:
            return _unusable(path, "unreadable", f"OpenCV cannot decode this {kind} file; write it as JPEG or PNG")
        height, width = shown.shape[:2]
    elif orientation in _SWAPPING and _shown_sideways(path, width, height):
        width, height = height, width
        text = f"EXIF orientation {orientation}: used as shown, {width}×{height}"
        notes.append(Issue(path, None, "exif-rotated", text, "used"))
    if path.suffix.lower() not in _OWN_SUFFIXES.get(kind, (path.suffix.lower(),)):
        notes.append(Issue(path, None, "wrong-suffix", f"is a {kind} file", "used"))
    if kind in ("JPEG", "MPO") and not _ends_properly(path):
        if not _decodes_to_the_end(path):
            return _unusable(path, "truncated", "the JPEG data stop before the end of the picture")
        notes.append(Issue(path, None, "no-end-marker", "JPEG without an end marker, otherwise complete", "used"))
    return ImageFacts(width, height, tuple(notes))


def _shown_sideways(path: Path, width: int, height: int) -> bool:
    """Whether cv2 really swaps the sides: it depends on the format and on where the tag stands."""
    import cv2

    shown = cv2.imread(str(path), cv2.IMREAD_REDUCED_COLOR_8 if min(width, height) >= 64 else cv2.IMREAD_COLOR)
    if shown is None:
        raise ValueError("OpenCV cannot decode it")
    return (shown.shape[1] > shown.shape[0]) != (width > height) and width != height


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
    """Whether a JPEG without end marker is complete: where data are missing libjpeg repeats one flat colour."""
    import cv2

    shown = cv2.imread(str(path))
    return shown is not None and bool((shown[-1] != shown[-1, 0]).any())


def _unusable(path: Path, kind: str, text: str) -> ImageFacts:
    return ImageFacts(0, 0, (Issue(path, None, kind, text, "image skipped"),))


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def proper_suffix(path: Path) -> str:
    """The suffix that a picture should have: its own if that fits its content."""
    kind = sniff(path)
    fitting = _OWN_SUFFIXES.get(kind or "", (path.suffix.lower(),))
    return path.suffix if path.suffix.lower() in fitting else fitting[0]


def sniff(path: Path) -> str | None:
    """Format name of a picture by its first bytes, whatever its suffix; None for other files."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            return image.format
    except Exception:  # noqa: BLE001 - anything that cannot be opened is no picture
        return None
