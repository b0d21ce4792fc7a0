"""Read images of any number of channels, as the `channels` of a data YAML asks.

3 is colour, by the rule of `image_io`; 1 is grey, colour converted to it; any other number is what the file holds:
the channels of a PNG or TIFF in OpenCV's order (BGR, then alpha or infrared), the pages of a TIFF of several pages of
one size, or the last axis of a NumPy file. Such images are not turned by EXIF. The high 8 of 16 bits are taken.
"""

import io
from pathlib import Path

import numpy as np

from data.image_files import image_io
from data.image_files.image_io import MAX_PIXELS, reduced_size, reduction

MAX_CHANNELS = 64
ARRAYS = ".npy"  # suffix of NumPy files, (h, w) or (h, w, channels) of 8 or 16 bits
_MAX_VALUES = 4 * MAX_PIXELS  # of one image, over all channels
_TIFF = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")


def read(path: str | Path, channels: int = 3, stretch: bool = False, part: int = 1) -> np.ndarray | None:
    """Read an image file as (h, w, c) uint8; None if it cannot be read.

    Args:
        path: of the file.
        channels: expected; c is another number where the file holds another, see `mismatch`.
        stretch: spread the values of an image of more than 8 bits from its least to its greatest.
        part: of its size that a JPEG in colour is decoded in, see `image_io.decode`; others are read whole.
    """
    if channels == 3:
        return image_io.read(path, stretch=stretch, part=part)
    try:
        content = np.fromfile(path, np.uint8)
    except OSError:
        return None
    image = _from_array(content) if Path(path).suffix.lower() == ARRAYS else _stored(content, channels, stretch)
    if image is None or image.size == 0:
        return None
    image = image[..., None] if image.ndim == 2 else image
    return np.ascontiguousarray(_eight_bits(image, stretch))


def read_reduced(
    path: str | Path, size: tuple[int, int], longer: int, channels: int = 3, stretch: bool = False
) -> tuple[np.ndarray | None, tuple[int, int]]:
    """Read an image file, a large JPEG at a part of its size.

    Args:
        path: of the file.
        size: (height, width) that it is said to have.
        longer: pixels that its longer side keeps at least; that of `size` reads it whole.
        channels: expected, see `read`.
        stretch: spread the values of an image of more than 8 bits.

    Returns:
        The image (h, w, c) uint8, None if it cannot be read; and the (height, width) of the whole of it.
    """
    part = reduction(size, longer)
    image = read(path, channels, stretch, part)
    if part > 1 and image is not None and image.shape[:2] != size:
        if image.shape[:2] == reduced_size(size, part):
            return image, size
        image = read(path, channels, stretch)  # of another size than said
    return image, size if image is None else image.shape[:2]


def mismatch(image: np.ndarray, channels: int) -> str:
    """Return what is wrong with the number of channels of an image (h, w, c); "" if nothing is."""
    found = image.shape[2]
    if found == channels:
        return ""
    return f"has {found} channel{'s' * (found != 1)}, and {channels} are expected"


def displayable(image: np.ndarray) -> np.ndarray:
    """Return an image (h, w, c) as people can see it, (h, w, 3): grey repeated, of more channels the first three."""
    if image.shape[2] == 3:
        return image
    return np.ascontiguousarray(image[..., :3] if image.shape[2] > 3 else np.repeat(image[..., :1], 3, 2))


def to_grey(image: np.ndarray) -> np.ndarray:
    """Return a colour image (h, w, 3) BGR in grey, (h, w, 1)."""
    import cv2

    return cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)[..., None]  # type: ignore[no-any-return]


def _stored(content: np.ndarray, channels: int, stretch: bool) -> np.ndarray | None:
    """Decode what a file holds, in its own depth where `stretch` or several channels ask for it."""
    import cv2

    if image_io.is_heif(content[:12].tobytes()):
        shown = image_io.decode(content)
        return shown if shown is None or channels != 1 else to_grey(shown)
    flags = cv2.IMREAD_UNCHANGED
    if channels == 1:
        flags = cv2.IMREAD_GRAYSCALE | (cv2.IMREAD_ANYDEPTH if stretch else 0)
    try:
        if channels != 1 and content[:4].tobytes() in _TIFF:
            return _pages(content)
        return cv2.imdecode(content, flags) if content.size else None
    except cv2.error:  # more pixels than it allows, for example
        return None


def _pages(content: np.ndarray) -> np.ndarray | None:
    """Decode a TIFF: its first page, or where that is grey and all have one size, its pages as channels."""
    import cv2

    pages = _page_count(content)
    if pages == 1:
        return cv2.imdecode(content, cv2.IMREAD_UNCHANGED)
    good, frames = cv2.imdecodemulti(content, cv2.IMREAD_UNCHANGED)
    if not good or not frames:
        return None
    alike = frames[0].ndim == 2 and all(frame.shape == frames[0].shape for frame in frames)
    return np.stack(frames, 2) if alike else frames[0]


def _page_count(content: np.ndarray) -> int:
    """Return the pages of a TIFF that may be decoded: all, or one where they are too many or too large."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content.tobytes())) as image:
            pages, values = getattr(image, "n_frames", 1), 0
            if pages > MAX_CHANNELS:
                return 1
            for page in range(pages):
                image.seek(page)
                values += image.width * image.height
    except Exception:  # noqa: BLE001 - decoders raise anything on hostile files, and Pillow does not know every TIFF
        return 1
    return pages if values <= _MAX_VALUES else 1


def _from_array(content: np.ndarray) -> np.ndarray | None:
    """Return the image in a NumPy file; None for what is none. Nothing in it is executed."""
    try:
        image = np.load(io.BytesIO(content.tobytes()), allow_pickle=False)
    except Exception:  # noqa: BLE001 - raises anything on hostile files
        return None
    good = isinstance(image, np.ndarray) and image.dtype.kind in "uif" and image.ndim in (2, 3)
    return image if good and image.size <= _MAX_VALUES else None


def _eight_bits(image: np.ndarray, stretch: bool) -> np.ndarray:
    """Return an image in 8 bits: spread, or the high 8 of 16, or cut to whole numbers."""
    if image.dtype == np.uint8:
        return image
    if stretch:
        return image_io.stretched(image)
    if image.dtype == np.uint16:
        return (image >> 8).astype(np.uint8)
    return np.nan_to_num(image).clip(0, 255).round().astype(np.uint8)
