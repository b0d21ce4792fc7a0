"""Track objects from frame to frame by ultralytics' trackers: what is the same object keeps its number."""

from dataclasses import replace
from typing import Any

import numpy as np

from engine.backends.base import installed
from engine.detection.result import FrameDetections
from engine.errors import UsageError

NO_TRACK = -1  # id of a box that belongs to no track


class Tracks:
    """Give the boxes of every frame the numbers of their tracks.

    Each video and each stream has tracks of its own, numbered from 1; images that follow one another are one sequence.

    Args:
        name: one of `engine.cli.detect_flags.TRACKERS`.

    Raises:
        UsageError: if `lap`, which the trackers need, is not installed.
    """

    def __init__(self, name: str) -> None:
        if not installed("lap"):
            raise UsageError(f"--track {name} needs lap: pip install lap")
        self.name = name
        self.trackers: dict[str, Any] = {}  # video or stream → its tracker

    def follow(self, detections: FrameDetections) -> FrameDetections:
        """Return a frame's detections with `ids`, their boxes as the tracker has smoothed them.

        A box is left out until its track is confirmed by a second frame, as ultralytics does.
        """
        from models.upstream.tracking import Boxes

        tracker = self._tracker(detections)
        rows = np.concatenate([detections.boxes, detections.scores[:, None], detections.classes[:, None]], 1)
        tracks = tracker.update(Boxes(rows.astype(np.float32), detections.image.shape[:2]), detections.image)
        if len(tracks):
            return replace(
                detections,
                boxes=tracks[:, :4].astype(np.float32),
                ids=tracks[:, 4].astype(np.int64),
                scores=tracks[:, 5].astype(np.float32),
                classes=tracks[:, 6].astype(np.int64),
            )
        hidden = any(not track.is_activated for track in tracker.tracked_stracks)
        kept = slice(0, 0) if hidden else slice(None)
        return replace(
            detections,
            boxes=detections.boxes[kept],
            scores=detections.scores[kept],
            classes=detections.classes[kept],
            ids=np.full(len(detections.boxes[kept]), NO_TRACK),
        )

    def _tracker(self, detections: FrameDetections) -> Any:
        from models.upstream.tracking import make_tracker

        frame = detections.frame
        key = frame.path if frame.kind != "image" else ""
        if key not in self.trackers:
            if frame.kind != "stream":  # files come one after the other, streams side by side
                self.trackers.clear()
            self.trackers[key] = make_tracker(self.name)
        return self.trackers[key]
