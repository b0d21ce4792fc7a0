"""Decode images: the one rule by which data sets, training, validation, detection and reports see pixels.

An image is (h, w, 3) uint8 in OpenCV's order BGR, as shown: turned by its EXIF orientation, the high 8 of 16 bits,
of a TIFF of 32 or 64 bits whole numbers up to 255, alpha dropped without blending, grey repeated, CMYK as OpenCV turns
it into BGR, of several frames the first.
"""

import io
import os
from pathlib import Path
from typing import Any

import numpy as np

MAX_PIXELS = 100_000_000  # of an image, 300 MB once decoded; a file of some kilobytes can claim any number
# OpenCV must be told before it is imported: this limit, since its own is ten times as high, and that we do the talking.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MAX_PIXELS))
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")

HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
GIF_STARTS = (b"GIF87a", b"GIF89a")
JPEG_START, JPEG_END = b"\xff\xd8", b"\xff\xd9"
TIFF_STARTS = (b"II*\0", b"MM\0*")
REDUCTIONS = (8, 4, 2)  # parts of its size in which a JPEG can be decoded, see `reduction`


def reduction(size: tuple[int, int], longer: int) -> int:
    """Return by how much an image may be reduced for its longer side to keep so many pixels; 1 is not at all.

    Args:
        size: height and width in pixels.
        longer: pixels that the longer side is resized to afterwards.
    """
    return next((part for part in REDUCTIONS if max(size) >= part * longer), 1)


def reduced_size(size: tuple[int, int], part: int) -> tuple[int, int]:
    """Return the height and width that a JPEG of a size has when it is decoded at a part of it."""
    return -(-size[0] // part), -(-size[1] // part)


def decode(
    content: bytes | np.ndarray, grey_eighth: bool = False, stretch: bool = False, part: int = 1
) -> np.ndarray | None:
    """Decode an image by the rule above.

    Args:
        content: bytes of the file.
        grey_eighth: decode an eighth of the size in grey, (h, w) uint8: a fifth of the time for a JPEG.
        stretch: spread the values of an image of more than 8 bits from its least to its greatest, instead of taking the
            high 8 of 16.
        part: of its size that a JPEG is decoded in, 1, 2, 4 or 8: 2 is half; anything else is decoded whole.

    Returns:
        (h, w, 3) uint8 BGR; None if OpenCV cannot decode it.
    """
    import cv2

    data = np.frombuffer(content, np.uint8)
    if not data.size:
        return None
    flags = cv2.IMREAD_REDUCED_GRAYSCALE_8 if grey_eighth else cv2.IMREAD_COLOR
    flags |= cv2.IMREAD_ANYDEPTH if stretch else 0
    if part > 1 and data[:2].tobytes() == JPEG_START:
        flags = getattr(cv2, f"IMREAD_REDUCED_COLOR_{part}")
    try:
        image = cv2.imdecode(data, flags)
        if image is None and data[:2].tobytes() == JPEG_START:
            # Complete but for its end marker: from memory, OpenCV refuses what it reads from a file.
            image = cv2.imdecode(np.append(data, np.frombuffer(JPEG_END, np.uint8)), flags)
    except cv2.error:  # more pixels than it allows, for example
        return None
    if image is None and data[:4].tobytes() in TIFF_STARTS:
        image = _decode_wide(data, stretch)
    if image is None and is_heif(data[:12].tobytes()):
        return _decode_heif(data.tobytes())
    if image is None and data[:6].tobytes() in GIF_STARTS:
        image = _decode_gif(data.tobytes())
        return image[::8, ::8, 0] if grey_eighth and image is not None else image
    return stretched(image) if stretch and image is not None else image


def _decode_gif(content: bytes) -> np.ndarray | None:
    """Decode the first frame of a GIF, which OpenCV before 4.12 cannot; None where OpenCV can, and refused it."""
    import cv2
    from PIL import Image

    if tuple(int(part) for part in cv2.__version__.split(".")[:2]) >= (4, 12):
        return None
    try:
        with Image.open(io.BytesIO(content)) as image:
            if image.width * image.height > MAX_PIXELS:
                return None
            return np.ascontiguousarray(np.asarray(image.convert("RGB"))[..., ::-1])
    except Exception:  # noqa: BLE001 - decoders raise anything on hostile files
        return None


def read(path: str | Path, grey_eighth: bool = False, stretch: bool = False, part: int = 1) -> np.ndarray | None:
    """Read an image file, whatever characters its name has; see `decode`. None if it cannot be read."""
    try:
        return decode(np.fromfile(path, np.uint8), grey_eighth, stretch, part)
    except OSError:
        return None


def write(path: Path, image: np.ndarray, quality: int | None = None) -> None:
    """Write an image file, whatever characters its name has: OpenCV's own imwrite takes ASCII only on Windows.

    Args:
        path: whose suffix chooses the format.
        image: (h, w, c) uint8 in OpenCV's order.
        quality: of a JPEG, up to 100; None for OpenCV's own.

    Raises:
        OSError: if the format does not take the image, or the system refuses.
    """
    import cv2

    try:
        good, content = cv2.imencode(path.suffix, image, [cv2.IMWRITE_JPEG_QUALITY, quality] if quality else [])
    except cv2.error:  # a suffix that it does not know, for example
        good = False
    if not good:
        raise OSError(f"{path}: cannot be written as an image of this format; use .jpg or .png")
    path.write_bytes(content.data)


def stretched(image: np.ndarray) -> np.ndarray:
    """Spread the values of an image of more than 8 bits over 0 … 255; one of 8 bits stays as it is."""
    if image.dtype == np.uint8:
        return image
    values = np.nan_to_num(image.astype(np.float32), posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    scale = 255 / (high - low) if high > low else 0.0
    return ((values - low) * scale).round().astype(np.uint8)


def greatest_value(path: str | Path) -> tuple[str, float] | None:
    """Return type and greatest value of an image as it is stored, for example ("uint16", 4095); None if unreadable."""
    import cv2

    try:
        image = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR)
    except (OSError, cv2.error):
        return None
    return None if image is None else (str(image.dtype), float(np.nan_to_num(image, posinf=0, neginf=0).max()))


def _decode_wide(data: np.ndarray, stretch: bool) -> np.ndarray | None:
    """Decode a TIFF of 32 or 64 bits, which OpenCV only returns as it is stored; None for what it cannot decode.

    Args:
        data: content of the file, (n,) uint8.
        stretch: leave the values for `stretched`, instead of cutting them to whole numbers from 0 to 255.
    """
    import cv2

    try:
        image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    if image is None or (image.ndim == 3 and image.shape[2] not in (1, 3, 4)):
        return None
    planes = image[..., None] if image.ndim == 2 else image
    image = np.repeat(planes, 3, 2) if planes.shape[2] == 1 else np.ascontiguousarray(planes[..., :3])
    return image if stretch else np.clip(np.nan_to_num(image), 0, 255).astype(np.uint8)


def is_heif(head: bytes) -> bool:
    """Tell by a file's first 12 bytes whether it is a HEIC or HEIF image, as phones write them."""
    return head[4:8] == b"ftyp" and head[8:12] in HEIF_BRANDS


def register_heif() -> bool:
    """Let Pillow open HEIC images, where pillow-heif is installed; tell whether it is."""
    try:
        import pillow_heif
    except ImportError:
        return False
    pillow_heif.register_heif_opener()
    return True


def _decode_heif(content: bytes) -> np.ndarray | None:
    """Decode a HEIC image by pillow-heif; None without it, and for what it cannot decode."""
    from PIL import Image

    if not register_heif():
        return None
    try:
        with Image.open(io.BytesIO(content)) as image:
            return from_pillow(image) if image.width * image.height <= MAX_PIXELS else None
    except Exception:  # noqa: BLE001 - decoders raise anything on hostile files
        return None


def from_pillow(image: Any, stretch: bool = False) -> np.ndarray:
    """Return a Pillow image as (h, w, 3) uint8 BGR by the rule above; only CMYK follows Pillow's own arithmetic.

    Args:
        image: of any mode.
        stretch: spread the values of an image of more than 8 bits from its least to its greatest.
    """
    from PIL import ImageOps

    shown = ImageOps.exif_transpose(image)
    if stretch and shown.mode[0] in "IF":
        return np.repeat(stretched(np.asarray(shown))[..., None], 3, 2)
    if shown.mode.startswith("I;16"):  # Pillow would cut everything above 255
        return np.repeat((np.asarray(shown) >> 8).astype(np.uint8)[..., None], 3, 2)
    return np.ascontiguousarray(np.asarray(shown.convert("RGB"))[..., ::-1])
