"""Origin of an image or video frame, and the summary of what was read and what was skipped."""

from dataclasses import dataclass, field
from typing import Any

from engine.errors import UsageError
from engine.runtime.log import LOGGER, printable

FPS_UNKNOWN = 30.0
LISTED = 20  # skipped inputs, and notes, that are named; of more, detect.py writes a file


@dataclass(frozen=True)
class Frame:
    """Name the origin of one image or video frame.

    Attributes:
        path: the file, or the address of a stream.
        kind: "image", "video" or "stream".
        number: of the frame in its video or stream, from 1; None for an image.
        count: frames that the file announces, after --vid-stride; 0 where unknown.
        fps: of the video as written again, after --vid-stride.
        size: (height, width) of an image that was decoded at a part of it (--reduced-decode); None for all others.
    """

    path: str
    kind: str = "image"
    number: int | None = None
    count: int = 0
    fps: float = FPS_UNKNOWN
    size: tuple[int, int] | None = None


@dataclass
class SourceReport:
    """Count the images and frames that a source gave, and list what was skipped.

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

    def tell_skipped(self) -> None:
        """Warn of what was skipped, an input a line.

        Raises:
            UsageError: if nothing else was there.
        """
        if self.skipped and not self.images + self.frames:
            raise self.nothing_usable(self.skipped[0][0])
        for name, reason in self.skipped[:LISTED]:
            LOGGER.warning(printable(f"skipped: {name}: {reason}"))
        if len(self.skipped) > LISTED:
            LOGGER.warning(f"skipped: and {len(self.skipped) - LISTED} more")

    def nothing_usable(self, source: Any) -> UsageError:
        """Return the error to raise where nothing of a source was used.

        Args:
            source: what to name where nothing was skipped either.
        """
        name, reason = self.skipped[0] if self.skipped else (source, "nothing in it")
        more = f" (and {len(self.skipped) - 1} more)" if len(self.skipped) > 1 else ""
        return UsageError(f"--source: nothing usable: {name}: {reason}{more}")
