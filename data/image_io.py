"""Decode images: the one rule by which data sets, training, validation, detection and reports see pixels.

An image is (h, w, 3) uint8 in OpenCV's order BGR, as shown: turned by its EXIF orientation, the high 8 of 16 bits,
alpha dropped without blending, grey repeated, CMYK as OpenCV turns it into BGR, of several frames the first.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np

MAX_PIXELS = 100_000_000  # of an image, 300 MB once decoded; a file of some kilobytes can claim any number
# OpenCV must be told before it is imported: this limit, since its own is ten times as high, and that we do the talking.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MAX_PIXELS))
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")

JPEG_START, JPEG_END = b"\xff\xd8", b"\xff\xd9"


def decode(content: bytes | np.ndarray, grey_eighth: bool = False) -> np.ndarray | None:
    """Decode an image by the rule above.

    Args:
        content: bytes of the file.
        grey_eighth: decode an eighth of the size in grey, (h, w) uint8: a fifth of the time for a JPEG.

    Returns:
        (h, w, 3) uint8 BGR; None if OpenCV cannot decode it.
    """
    import cv2

    data = np.frombuffer(content, np.uint8)
    if not data.size:
        return None
    flags = cv2.IMREAD_REDUCED_GRAYSCALE_8 if grey_eighth else cv2.IMREAD_COLOR
    try:
        image = cv2.imdecode(data, flags)
        if image is None and data[:2].tobytes() == JPEG_START:
            # Complete but for its end marker: from memory, OpenCV refuses what it reads from a file.
            image = cv2.imdecode(np.append(data, np.frombuffer(JPEG_END, np.uint8)), flags)
    except cv2.error:  # more pixels than it allows, for example
        return None
    return image


def read(path: str | Path, grey_eighth: bool = False) -> np.ndarray | None:
    """Read an image file, whatever characters its name has; see `decode`. None if it cannot be read."""
    try:
        return decode(np.fromfile(path, np.uint8), grey_eighth)
    except OSError:
        return None


def from_pillow(image: Any) -> np.ndarray:
    """Return a Pillow image as (h, w, 3) uint8 BGR by the rule above; only CMYK follows Pillow's own arithmetic."""
    from PIL import ImageOps

    shown = ImageOps.exif_transpose(image)
    if shown.mode.startswith("I;16"):  # Pillow would cut everything above 255
        return np.repeat((np.asarray(shown) >> 8).astype(np.uint8)[..., None], 3, 2)
    return np.ascontiguousarray(np.asarray(shown.convert("RGB"))[..., ::-1])
