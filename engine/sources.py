"""What --source names: pictures and videos found one by one, each used or skipped with a reason."""

import math
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from engine import pictures
from engine.errors import UsageError

VIDEOS = frozenset(".asf .avi .gif .m4v .mkv .mov .mp4 .mpeg .mpg .ts .wmv .webm".split())
LIVE = ("rtsp://", "rtmp://", "tcp://", "udp://")
WEB = ("http://", "https://")
MAX_DOWNLOAD = 64 << 20  # bytes of one picture fetched from the web
MAX_LINES = 10_000_000  # of a text list
FPS_UNKNOWN = 30.0


@dataclass(frozen=True)
class Shot:
    """Where one picture comes from.

    Attributes:
        path: the file, or the address of a stream.
        kind: "image", "video" or "stream".
        frame: number of the frame from 1; None for a picture.
        frames: number of frames that the file announces, after --vid-stride; 0 where unknown.
        fps: of the video as written again, after --vid-stride.
    """

    path: str
    kind: str = "image"
    frame: int | None = None
    frames: int = 0
    fps: float = FPS_UNKNOWN


@dataclass
class Tally:
    """What became of every input.

    Attributes:
        images: pictures read.
        videos: videos of which at least one frame was read.
        frames: frames read, of videos and streams.
        skipped: (input, reason) of what could not be used.
        notes: (input, remark) of what was used, but deserves a remark.
    """

    images: int = 0
    videos: int = 0
    frames: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)

    def summary(self) -> str:
        """Return one line: what was used, and how much was skipped."""
        used = [f"{self.images} image{'s' * (self.images != 1)}"] if self.images or not self.frames else []
        if self.frames:
            what = f"{self.videos} video{'s' * (self.videos != 1)}" if self.videos else "streams"
            used.append(f"{what} ({self.frames} frames)")
        return f"used {' and '.join(used)}, skipped {len(self.skipped)}"


def is_live(source: str) -> bool:
    """Tell whether a source is a webcam number, a stream's address or a .streams list."""
    lower = source.lower()
    if lower.startswith(WEB):
        return _suffix(lower) not in _picture_suffixes() | VIDEOS
    return source.isnumeric() or lower.startswith(LIVE) or (lower.endswith(".streams") and Path(source).is_file())


def _picture_suffixes() -> frozenset[str]:
    from data.images import SUFFIXES

    return SUFFIXES | {".heic", ".heif", ".dng", ".mpo", ".pfm"}


def _suffix(name: str) -> str:
    return Path(name.split("?")[0]).suffix.lower()


def list_files(source: str) -> list[str]:
    """Return what a path, folder, glob, text list or web address stands for, in a fixed order.

    Raises:
        UsageError: if there is nothing.
    """
    if source.lower().startswith(WEB):
        return [source]
    path = Path(source).expanduser()
    if path.is_dir():
        found = [str(entry) for entry in sorted(path.iterdir()) if _belongs(entry)]
    elif path.suffix.lower() == ".txt" and path.is_file():
        found = _from_list(path)
    elif path.exists() or path.is_symlink():
        found = [str(path)]
    elif re.search(r"[*?\[]", source):
        base = Path(path.anchor) if path.is_absolute() else Path()
        found = [str(entry) for entry in sorted(base.glob(str(path.relative_to(path.anchor)))) if _belongs(entry)]
    else:
        raise UsageError(f"--source {source}: there is no such file or folder (and it is no webcam number or address)")
    if not found:
        raise UsageError(f"--source {source}: nothing in it; give a picture, video, folder, glob, .txt list or address")
    return found


def _belongs(entry: Path) -> bool:
    """Leave out hidden files, and subfolders that do not pretend to be pictures."""
    if entry.name.startswith("."):
        return False
    return not entry.is_dir() or entry.suffix.lower() in _picture_suffixes() | VIDEOS


def _from_list(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--source {path}: cannot be read as a list of files: {error}") from None
    if len(lines) > MAX_LINES:
        raise UsageError(f"--source {path}: {len(lines)} lines are more than {MAX_LINES}")
    names = [line.strip() for line in lines if line.strip()]
    return [name if Path(name).exists() or "://" in name else str(path.parent / name) for name in names]


class Files:
    """Pictures and videos in order, as ultralytics' predictor reads its sources; nothing in them can end the run.

    Args:
        files: paths and web addresses.
        batch: pictures at once; a batch never spans two videos.
        vid_stride: every N-th frame of videos.
    """

    source_type: ClassVar[Any] = None  # set by open_source

    def __init__(self, files: list[str], batch: int = 1, vid_stride: int = 1) -> None:
        self.files, self.bs, self.vid_stride = files, batch, vid_stride
        self.tally = Tally()
        self.mode = "image"  # read by ultralytics only where it writes results itself, which it does not here

    def __len__(self) -> int:
        return math.ceil(len(self.files) / self.bs)

    def __iter__(self) -> Iterator[tuple[list[str], list[np.ndarray], list[Shot]]]:
        """Yield batches: paths, pictures (h, w, 3) uint8 BGR, and their shots."""
        shots: list[Shot] = []
        frames: list[np.ndarray] = []
        for file in self.files:
            if self._is_video(file):
                if shots:
                    yield [shot.path for shot in shots], frames, shots
                    shots, frames = [], []
                yield from self._video_batches(file)
                continue
            picture = self._read_picture(file)
            if picture is None:
                continue
            self.tally.images += 1
            shots.append(Shot(file))
            frames.append(picture)
            if len(shots) == self.bs:
                yield [shot.path for shot in shots], frames, shots
                shots, frames = [], []
        if shots:
            yield [shot.path for shot in shots], frames, shots

    def close(self) -> None:
        """Nothing stays open between batches but a video, which its generator closes."""

    def _is_video(self, file: str) -> bool:
        return _suffix(file) in VIDEOS and _suffix(file) != ".gif"

    def _skip(self, file: str, reason: str) -> None:
        self.tally.skipped.append((file, reason))

    def _read_picture(self, file: str) -> np.ndarray | None:
        """Return a picture, or None after noting why it is skipped."""
        if file.lower().startswith(WEB):
            return self._fetch(file)
        from data.images import probe, sniff

        path = Path(file)
        if path.is_file() and path.suffix.lower() not in _picture_suffixes() and sniff(path) is None:
            self._skip(file, "is neither picture nor video, by its name and its content")
            return None
        facts = probe(path)
        for issue in facts.issues:
            if facts.width and issue.kind != "exif-rotated":
                self.tally.notes.append((file, issue.message))
        if not facts.width:
            self._skip(file, "; ".join(issue.message for issue in facts.issues))
            return None
        return self._decoded(file, pictures.read(path))

    def _decoded(self, file: str, picture: np.ndarray | None) -> np.ndarray | None:
        if picture is None:
            self._skip(file, "OpenCV cannot decode it")
        return picture

    def _fetch(self, address: str) -> np.ndarray | None:
        """Fetch one picture from the web, because the user named its address."""
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
        return self._decoded(address, pictures.decode(content))

    def _video_batches(self, file: str) -> Iterator[tuple[list[str], list[np.ndarray], list[Shot]]]:
        """Yield a video's frames; a video that breaks off ends there, with a note."""
        import cv2

        problem = _video_problem(file)
        capture = None if problem else cv2.VideoCapture(file)
        if capture is None or not capture.isOpened():
            self._skip(file, problem or "cannot be opened as a video")
            return
        try:
            yield from self._frames(file, capture)
        finally:
            capture.release()

    def _frames(self, file: str, capture: Any) -> Iterator[tuple[list[str], list[np.ndarray], list[Shot]]]:
        import cv2

        announced = max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        rate = capture.get(cv2.CAP_PROP_FPS)
        fps = (rate if 0 < rate < 1000 else FPS_UNKNOWN) / self.vid_stride
        shots: list[Shot] = []
        frames: list[np.ndarray] = []
        read = 0
        while capture.grab():
            read += 1
            if (read - 1) % self.vid_stride:
                continue
            good, picture = capture.retrieve()
            if not good or picture is None:
                break
            self.tally.frames += 1
            number = (read - 1) // self.vid_stride + 1
            shots.append(Shot(file, "video", number, announced // self.vid_stride, fps))
            frames.append(picture)
            if len(shots) == self.bs:
                yield [shot.path for shot in shots], frames, shots
                shots, frames = [], []
        if shots:
            yield [shot.path for shot in shots], frames, shots
        if not read:
            self._skip(file, "has no frame that can be decoded")
            return
        self.tally.videos += 1
        if read < announced:
            self.tally.notes.append((file, f"ends early: {read} of {announced} announced frames could be read"))


def _video_problem(file: str) -> str | None:
    """Return why a video file cannot be one, before OpenCV is asked."""
    if "://" in file:
        return None
    path = Path(file)
    if not path.exists():
        return "there is no such file"
    if not path.is_file():
        return "is not a file but a folder or device"
    return "is empty (0 bytes)" if path.stat().st_size == 0 else None


class Streams:
    """ultralytics' reader of webcams and network streams, with a shot for every picture.

    Args:
        source: webcam number, address, or a .streams file with one of them a line.
        vid_stride: every N-th frame.

    Raises:
        UsageError: if a stream cannot be opened.
    """

    source_type: ClassVar[Any] = None

    def __init__(self, source: str, vid_stride: int = 1) -> None:
        from ultralytics.data.loaders import LoadStreams

        try:
            self.inner = LoadStreams(source, vid_stride=vid_stride)
        except (ConnectionError, FileNotFoundError, OSError) as error:
            what = "webcam" if source.isnumeric() else "stream"
            why = "" if isinstance(error, ConnectionError) else f": {error}"
            raise UsageError(f"--source {source}: the {what} cannot be opened{why}") from None
        self.mode, self.bs, self.vid_stride = "stream", self.inner.bs, vid_stride
        self.tally = Tally()

    def __len__(self) -> int:
        return self.bs

    def __iter__(self) -> Iterator[tuple[list[str], list[np.ndarray], list[Shot]]]:
        for number, (paths, frames, _) in enumerate(self.inner, 1):
            self.tally.frames += len(frames)
            rates = [fps / self.vid_stride for fps in self.inner.fps]
            yield paths, frames, [Shot(p, "stream", number, 0, fps) for p, fps in zip(paths, rates, strict=True)]

    def close(self) -> None:
        """Stop reading."""
        self.inner.close()


def open_source(source: Any, batch: int = 1, vid_stride: int = 1) -> Any:
    """Open whatever can be detected in.

    Args:
        source: path, folder, glob, .txt list, webcam number, address, a list of paths; or pictures in memory (arrays,
            PIL images, a tensor), which ultralytics' own readers take.
        batch: pictures at once.
        vid_stride: every N-th frame of videos.

    Raises:
        UsageError: if there is no such source.
    """
    from ultralytics.data.build import load_inference_source
    from ultralytics.data.loaders import SourceTypes

    if isinstance(source, str | int | Path):
        name = str(source)
        if name.lower().startswith("screen") and not Path(name).exists():
            raise UsageError(f"--source {name}: the screen is no source here; record it and give the video")
        if is_live(name):
            opened: Any = Streams(name, vid_stride)
            opened.source_type = SourceTypes(stream=True)
            return opened
        files = list_files(name)
    elif isinstance(source, list | tuple) and source and all(isinstance(entry, str | Path) for entry in source):
        files = [str(entry) for entry in source]
    else:
        return load_inference_source(source, batch=batch, vid_stride=vid_stride)
    opened = Files(files, batch, vid_stride)
    opened.source_type = SourceTypes()
    return opened
