"""Read images, videos and streams batch by batch; an input that cannot be read is skipped with its reason."""

import os
import re
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from data.image_files import image_channels, image_io
from engine.detection.file_list import MOTION_JPEG, VIDEOS, WEB, image_suffixes, suffix_of
from engine.detection.frames import FPS_UNKNOWN, Frame, SourceReport
from engine.detection.media_kind import video_format
from engine.errors import UsageError

NO_MEDIUM = "is neither image nor video, by its name and its content"
MAX_DOWNLOAD = 64 << 20  # bytes of one image fetched from the web


class FileReader:
    """Read image and video files in order; one that cannot be read is skipped and reported.

    Args:
        files: paths and web addresses.
        batch: images at once; a batch never spans two videos.
        vid_stride: every N-th frame of videos.
        stretch: spread the values of images of more than 8 bits.
    """

    mode = "files"

    def __init__(self, files: list[str], batch: int = 1, vid_stride: int = 1, stretch: bool = False) -> None:
        self.stretch, self.channels = stretch, 3
        self.longer: int | None = None  # side in pixels that JPEGs may be decoded at; None decodes them whole
        self.files, self.bs, self.vid_stride = files, batch, vid_stride
        self.report = SourceReport()
        self._videos: dict[str, bool] = {}

    def expect(self, channels: int) -> None:
        """Take images of so many channels; others are skipped, but colour is converted to grey."""
        self.channels = channels

    @property
    def images(self) -> int | None:
        """How many there are at most; None if videos are among them."""
        return None if any(self._is_video(file) for file in self.files) else len(self.files)

    def __iter__(self) -> Iterator[tuple[list[str], list[np.ndarray], list[Frame]]]:
        """Yield batches: paths, images (h, w, c) uint8 in OpenCV's order, and their frames."""
        for videos, files in groupby(self.files, self._is_video):
            if not videos:
                yield from self._batches(self._images(files))
                continue
            for file in files:
                yield from self._batches(self._video(file))

    def _batches(
        self, entries: Iterable[tuple[Frame, np.ndarray]]
    ) -> Iterator[tuple[list[str], list[np.ndarray], list[Frame]]]:
        """Yield batches of one video, or of images that follow one another."""
        frames: list[Frame] = []
        images: list[np.ndarray] = []
        for frame, image in entries:
            frames.append(frame)
            images.append(image)
            if len(frames) == self.bs:
                yield [frame.path for frame in frames], images, frames
                frames, images = [], []
        if frames:
            yield [frame.path for frame in frames], images, frames

    def _images(self, files: Iterable[str]) -> Iterator[tuple[Frame, np.ndarray]]:
        for file in files:
            if self._is_video_inside(file):
                yield from self._video(file)
                continue
            image, size = self._read_image(file)
            if image is not None:
                self.report.images += 1
                yield Frame(file, size=size if size != image.shape[:2] else None), image

    def _is_video(self, file: str) -> bool:
        """Tell whether a file is a video; by its content where its suffix is no image's."""
        if file not in self._videos:
            suffix = suffix_of(file)
            if "://" in file or (suffix in image_suffixes() and suffix != ".gif"):
                self._videos[file] = suffix in VIDEOS and suffix != ".gif"
            else:
                inside = video_format(Path(file)) is not None or suffix in MOTION_JPEG
                self._videos[file] = inside or (suffix in VIDEOS and suffix != ".gif" and not self._is_image(file))
        return self._videos[file]

    def _is_image(self, file: str) -> bool:
        from data.image_files.image_probe import is_utf8, sniff

        return is_utf8(file) and sniff(Path(file)) is not None

    def _is_video_inside(self, file: str) -> bool:
        """Tell whether a file with the suffix of an image holds a video."""
        return "://" not in file and suffix_of(file) in image_suffixes() and video_format(Path(file)) is not None

    def _skip(self, file: str, reason: str) -> None:
        self.report.skipped.append((file, reason))

    def _read_image(self, file: str) -> tuple[np.ndarray | None, tuple[int, int]]:
        """Return an image, or None after noting why it is skipped; and the (height, width) of the whole of it."""
        if file.lower().startswith(WEB):
            image = self._fetch(file)
            return image, (0, 0) if image is None else image.shape[:2]
        from data.image_files.image_probe import probe, sniff

        path = Path(file)
        array = self.channels != 3 and path.suffix.lower() == image_channels.ARRAYS
        if path.is_file() and not array and path.suffix.lower() not in image_suffixes() and sniff(path) is None:
            self._skip(file, NO_MEDIUM)
            return None, (0, 0)
        properties = probe(path, decode=False, channels=self.channels)  # it is decoded below
        for issue in properties.issues:
            if properties.width and issue.kind not in ("exif-rotated", "deep" if self.stretch else ""):
                action = "" if issue.action == "used" else f" ({issue.action})"
                self.report.notes.append((file, issue.message + action))
        if not properties.width:
            self._skip(file, "; ".join(issue.message for issue in properties.issues))
            return None, (0, 0)
        size = properties.height, properties.width
        image, size = image_channels.read_reduced(path, size, self.longer or max(size), self.channels, self.stretch)
        return self._decoded(file, image), size

    def _decoded(self, file: str, image: np.ndarray | None) -> np.ndarray | None:
        problem = "OpenCV cannot decode it" if image is None else image_channels.mismatch(image, self.channels)
        if problem:
            self._skip(file, problem)
            return None
        return image

    def _fetch(self, address: str) -> np.ndarray | None:
        """Fetch one image from the web, because the user named its address."""
        grey = self.channels == 1
        request = urllib.request.Request(address, headers={"User-Agent": "yolo-attention"})  # noqa: S310 - http(s) only
        try:
            with urllib.request.urlopen(request, timeout=30) as reply:  # noqa: S310 - as above
                content = reply.read(MAX_DOWNLOAD + 1)
        except (urllib.error.URLError, OSError, ValueError) as error:
            self._skip(address, f"cannot be fetched: {error}")
            return None
        if len(content) > MAX_DOWNLOAD:
            self._skip(address, f"is larger than {MAX_DOWNLOAD >> 20} MB")
            return None
        image = image_io.decode(content, stretch=self.stretch)
        return self._decoded(address, image_channels.to_grey(image) if image is not None and grey else image)

    def _video(self, file: str) -> Iterator[tuple[Frame, np.ndarray]]:
        """Yield a video's frames; a video that breaks off ends there, with a note."""
        import cv2

        problem = _video_problem(file) or _without_colour(self.channels)
        # An absolute path: FFmpeg takes what stands before a colon for a protocol.
        capture = None if problem else cv2.VideoCapture(file if "://" in file else os.path.abspath(file))  # noqa: PTH100
        # OpenCV takes the name of what is no video, if it has a %d, for that of a series: of other files, that is.
        if capture is None or not capture.isOpened() or capture.getBackendName() == "CV_IMAGES":
            self._skip(file, problem or "cannot be opened as a video")
            return
        try:
            yield from self._frames(file, capture)
        finally:
            capture.release()

    def _frames(self, file: str, capture: Any) -> Iterator[tuple[Frame, np.ndarray]]:
        import cv2

        announced = max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        rate = capture.get(cv2.CAP_PROP_FPS)
        fps = (rate if 0 < rate < 1000 else FPS_UNKNOWN) / self.vid_stride
        read, shown_at = 0, 0.0
        while capture.grab():
            read, shown_at = read + 1, capture.get(cv2.CAP_PROP_POS_MSEC)
            if (read - 1) % self.vid_stride:
                continue
            good, image = capture.retrieve()
            if not good or image is None:
                break
            self.report.frames += 1
            number = (read - 1) // self.vid_stride + 1
            image = image_channels.to_grey(image) if self.channels == 1 else image
            yield Frame(file, "video", number, -(-announced // self.vid_stride), fps), image
        if not read:
            self._skip(file, "has no frame that can be decoded")
            return
        self.report.videos += 1
        if read < announced:
            self.report.notes.append((file, _shortage(read, announced, rate, shown_at)))


def _shortage(read: int, announced: int, rate: float, shown_at: float) -> str:
    """Say why a video has fewer frames than announced: it breaks off, or they come at uneven times.

    Matroska announces none; they are reckoned from its length and its greatest rate.

    Args:
        read: frames.
        announced: frames.
        rate: frames a second, as announced.
        shown_at: time of the last frame read, in ms.
    """
    if shown_at / 1000 * rate < announced - 1.5:
        return f"ends early: {read} of {announced} announced frames could be read"
    lasts = f"has a variable frame rate: {read} frames in {announced / rate:.1f} s"
    return f"{lasts}; a video written from it shows {rate:.6g} a second, so it is shorter"


def _video_problem(file: str) -> str | None:
    """Return why a video file cannot be one, before OpenCV is asked."""
    if "://" in file:
        return None
    from data.image_files.image_probe import NOT_UTF8, is_utf8

    path = Path(file)
    if not is_utf8(path):
        return NOT_UTF8
    if not path.exists():
        return "there is no such file"
    if not path.is_file():
        return "is not a file but a folder or device"
    return "is empty (0 bytes)" if path.stat().st_size == 0 else None


def _without_colour(channels: int) -> str:
    """Return why video frames cannot be looked at by a model of so many channels; "" if they can."""
    return "" if channels in (1, 3) else f"frames of videos have 3 channels, and {channels} are expected"


class StreamReader:
    """Read webcams and network streams by ultralytics' reader, and name every image's origin (`Frame`).

    Args:
        source: webcam number, address, or a .streams file with one of them a line.
        vid_stride: every N-th frame.

    Raises:
        UsageError: if a stream cannot be opened.
    """

    mode = "stream"
    images = None

    def __init__(self, source: str, vid_stride: int = 1) -> None:
        from models.upstream.data import Streams

        try:
            self.inner = Streams(source, vid_stride=vid_stride)
        except (ConnectionError, OSError, ImportError, AssertionError, ValueError, RuntimeError) as error:
            what = "webcam" if source.isnumeric() else "stream"
            failed = re.search(r"Failed to (?:open|read images from) (\S+)", str(error))
            named = f" {failed[1]}" if failed and failed[1] != source else ""  # one of a .streams list
            why = "" if isinstance(error, ConnectionError) else f": {' '.join(str(error).split())[:200]}"
            raise UsageError(f"--source {source}: the {what}{named} cannot be opened{why}") from None
        self.bs, self.vid_stride = self.inner.bs, vid_stride
        self.report = SourceReport()
        self.source, self.grey = source, False

    def expect(self, channels: int) -> None:
        """Give images of so many channels.

        Raises:
            UsageError: if they are neither grey nor colour.
        """
        problem = _without_colour(channels)
        if problem:
            self.inner.close()
            raise UsageError(f"--source {self.source}: {problem}")
        self.grey = channels == 1

    def __iter__(self) -> Iterator[tuple[list[str], list[np.ndarray], list[Frame]]]:
        try:
            for number, (paths, images, _) in enumerate(self.inner, 1):
                self.report.frames += len(images)
                images = [image_channels.to_grey(image) for image in images] if self.grey else images
                rates = [fps / self.vid_stride for fps in self.inner.fps]
                yield paths, images, [Frame(p, "stream", number, 0, fps) for p, fps in zip(paths, rates, strict=True)]
        finally:
            self.inner.close()
