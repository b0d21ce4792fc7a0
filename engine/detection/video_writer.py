"""Write a video at the frame rate nearest to the wanted one that its container can hold, and at its own size."""

from pathlib import Path
from typing import Any

import cv2


def open_video(path: Path, fps: float, size: tuple[int, int]) -> Any:
    """Open a video for writing.

    MPEG-4 counts time in at most 65,535 parts of a second, so 211.222 frames a second become 211.22. Its sides are
    even; a video with an odd one becomes .avi, as Motion JPEG.

    Args:
        path: of the file; its suffix is chosen here.
        fps: frames a second.
        size: width and height in pixels.

    Returns:
        An open cv2.VideoWriter.

    Raises:
        OSError: if it cannot be written.
    """
    odd = bool(size[0] % 2 or size[1] % 2)
    path = path.with_name(path.name.removesuffix(path.suffix) + (".avi" if odd else ".mp4"))
    backend, codec = (cv2.CAP_OPENCV_MJPEG, "MJPG") if odd else (cv2.CAP_FFMPEG, "mp4v")
    rates = dict.fromkeys([fps, *(round(fps, digits) for digits in (2, 1, 0))])
    for rate in (rate for rate in rates if rate > 0):
        writer = cv2.VideoWriter(str(path), backend, cv2.VideoWriter.fourcc(*codec), rate, size)
        if writer.isOpened():
            return writer
        writer.release()
    raise OSError(f"{path}: cannot be written as a video of {size[0]}×{size[1]} at {fps:.6g} fps")
