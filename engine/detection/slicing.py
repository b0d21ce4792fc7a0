"""Look at large images window by window (--slice): views instead of images go in, images with all boxes come out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from data.image_files.image_channels import displayable
from engine.detection.frames import Frame
from engine.detection.result import FrameDetections
from engine.ops.join_views import Views, join_views
from engine.ops.windows import Slicing

VIEWS_GUESSED = 16  # of an image that nobody has opened yet: to decide whether a faster runtime is worth its start


@dataclass(frozen=True, eq=False, kw_only=True)
class View(Frame):
    """Name the origin of one view: a window of an image or frame, or the whole of it.

    Attributes:
        origin: of the image or frame.
        image: (h, w, c) uint8, all of it.
        windows: (v, 4) of all its views, the whole last.
        position: of this view among them.
    """

    origin: Frame
    image: np.ndarray
    windows: np.ndarray
    position: int

    def pixels(self) -> np.ndarray:
        """Return what the view shows, (h, w, c) uint8."""
        left, top, right, bottom = self.windows[self.position]
        return self.image[top:bottom, left:right]


class SlicedSource:
    """Give the views of a source's images in place of these: windows in batches, then the whole image by itself.

    Args:
        source: a reader of images, see `engine.detection.readers`.
        slicing: how images are cut.
        batch: windows at once.
    """

    def __init__(self, source: Any, slicing: Slicing, batch: int) -> None:
        self.source, self.slicing, self.bs = source, slicing, batch
        self.mode, self.report = source.mode, source.report
        self.images = None if source.images is None else VIEWS_GUESSED * source.images

    def __iter__(self) -> Iterator[tuple[list[str], list[np.ndarray], Sequence[Frame]]]:
        for _, images, frames in self.source:
            for image, frame in zip(images, frames, strict=True):
                for views in self._batches(image, frame):
                    yield [view.path for view in views], [view.pixels() for view in views], views

    def _batches(self, image: np.ndarray, frame: Frame) -> Iterator[list[View]]:
        windows = self.slicing.windows(*image.shape[:2])
        views = [
            View(path=frame.path, origin=frame, image=image, windows=windows, position=i) for i in range(len(windows))
        ]
        for start in range(0, len(views) - 1, self.bs):
            yield views[start : min(start + self.bs, len(views) - 1)]
        yield views[-1:]  # of another shape


class ViewJoiner:
    """Gather the detections of an image's views, which come in order, and join them when the last one is there.

    Args:
        iou_thres: of suppression.
        max_det: boxes an image at most.
        agnostic: boxes of different classes suppress each other too.
    """

    def __init__(self, iou_thres: float, max_det: int, agnostic: bool) -> None:
        self.iou_thres, self.max_det, self.agnostic = iou_thres, max_det, agnostic
        self.waiting: list[FrameDetections] = []

    def take(self, detections: Sequence[FrameDetections]) -> list[FrameDetections]:
        """Take the detections of some views; return those of the images that are complete now."""
        complete = []
        for entry in detections:
            self.waiting.append(entry)
            if len(self.waiting) == len(entry.frame.windows):  # type: ignore[attr-defined]
                complete.append(self._joined(self.waiting))
                self.waiting = []
        return complete

    def _joined(self, views: list[FrameDetections]) -> FrameDetections:
        last: View = views[-1].frame  # type: ignore[assignment]
        speed = {stage: sum(view.speed.get(stage, 0.0) for view in views) for stage in views[-1].speed}
        if len(views) == 1:
            boxes, scores, classes = views[0].boxes, views[0].scores, views[0].classes
        else:
            offsets = [view.boxes + last.windows[i, [0, 1, 0, 1]] for i, view in enumerate(views)]
            counts = [len(view) for view in views]
            rows = join_views(
                Views(
                    np.concatenate(offsets).astype(np.float32),
                    np.concatenate([view.scores for view in views]),
                    np.concatenate([view.classes for view in views]),
                    np.repeat(np.arange(len(views)), counts),
                    last.windows,
                ),
                self.iou_thres,
                self.max_det,
                self.agnostic,
            )
            boxes, scores, classes = rows[:, :4], rows[:, 4], rows[:, 5].astype(np.int64)
        return FrameDetections(displayable(last.image), last.origin, boxes, scores, classes, views[-1].names, speed)
