"""Read and decode image files."""

from pathlib import Path

import cv2
import numpy as np

JPEG_START, JPEG_END = b"\xff\xd8", b"\xff\xd9"


def decode(content: bytes | np.ndarray) -> np.ndarray | None:
    """Decode an image as shown: turned by its EXIF orientation, 8 bits, alpha dropped, grey repeated.

    Args:
        content: bytes of the file.

    Returns:
        (h, w, 3) uint8 BGR; None if OpenCV cannot decode it.
    """
    data = np.frombuffer(content, np.uint8)
    if not data.size:
        return None
    try:
        image = cv2.imdecode(data, cv2.IMREAD_COLOR)
        if image is None and data[:2].tobytes() == JPEG_START:
            # Complete but for its end marker: from memory, OpenCV refuses what it reads from a file.
            image = cv2.imdecode(np.append(data, np.frombuffer(JPEG_END, np.uint8)), cv2.IMREAD_COLOR)
    except cv2.error:  # more pixels than it allows, for example
        return None
    return image


def read(path: str | Path) -> np.ndarray | None:
    """Read an image file, whatever characters its name has; see `decode`."""
    try:
        return decode(np.fromfile(path, np.uint8))
    except OSError:
        return None
