"""Where a frame comes from, and the account of what became of each input."""

from dataclasses import dataclass, field

FPS_UNKNOWN = 30.0


@dataclass(frozen=True)
class Shot:
    """Where one image comes from.

    Attributes:
        path: the file, or the address of a stream.
        kind: "image", "video" or "stream".
        frame: number of the frame from 1; None for an image.
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
        images: images read.
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
