"""Detections of one image or frame, and their form as ultralytics Results."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from engine.detection.frames import Frame


@dataclass
class FrameDetections:
    """Hold the boxes detected in one image or frame, best first.

    Attributes:
        image: (h, w, 3) uint8 BGR; of other channels what people can see of them.
        frame: where it comes from.
        boxes: (n, 4) float32 corners in its pixels.
        scores: (n,) float32.
        classes: (n,) int.
        names: class number → name.
        speed: ms for the image by stage.
        ids: (n,) int numbers of tracks, −1 for a box of none; None where nothing is tracked.
    """

    image: np.ndarray
    frame: Frame
    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray
    names: dict[int, str]
    speed: dict[str, float] = field(default_factory=dict)
    ids: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.boxes)

    @property
    def size(self) -> tuple[int, int]:
        """Return the (height, width) in whose pixels the boxes are; `image` may have been decoded at a part of it."""
        return self.frame.size or self.image.shape[:2]

    def name(self, number: int) -> str:
        """Return a class's name."""
        return self.names.get(int(number), str(int(number)))

    def summary(self) -> str:
        """Return how many boxes of each class there are, as one line."""
        counts = Counter(int(number) for number in self.classes)
        labels = [f"{count} {self.name(number)}{'s' * (count > 1)}" for number, count in sorted(counts.items())]
        return ", ".join(labels) or "nothing found"

    def results(self) -> Any:
        """Convert to ultralytics Results, with `frame`; imports torch."""
        import torch

        from models.upstream.inference import FramedResults

        columns = [self.boxes, self.scores[:, None], self.classes[:, None]]
        if self.ids is not None and (self.ids > 0).all():
            columns.insert(1, self.ids[:, None])
        rows = np.concatenate(columns, 1).astype(np.float32)
        image, (height, width) = self.image, self.size
        if image.shape[:2] != (height, width):  # boxes are drawn on it, and cut from it
            image = cv2.resize(image, (width, height))
        return FramedResults(self.frame, image, self.frame.path, self.names, torch.from_numpy(rows), speed=self.speed)
