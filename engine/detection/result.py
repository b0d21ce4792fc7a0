"""What was found in one image."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engine.detection.frames import Shot


@dataclass
class Found:
    """Boxes in one image or frame, best first.

    Attributes:
        image: (h, w, 3) uint8 BGR.
        shot: where it comes from.
        boxes: (n, 4) float32 corners in its pixels.
        scores: (n,) float32.
        classes: (n,) int.
        names: class number → name.
        speed: ms for the image by stage.
    """

    image: np.ndarray
    shot: Shot
    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray
    names: dict[int, str]
    speed: dict[str, float] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.boxes)

    def name(self, kind: int) -> str:
        """Return a class's name."""
        return self.names.get(int(kind), str(int(kind)))

    def summary(self) -> str:
        """Say how many of each class there are."""
        counts = Counter(int(kind) for kind in self.classes)
        words = [f"{count} {self.name(kind)}{'s' * (count > 1)}" for kind, count in sorted(counts.items())]
        return ", ".join(words) or "nothing found"

    def results(self) -> Any:
        """Return the same as ultralytics Results, with `shot`; imports torch."""
        from engine.runtime import ultralytics_patches  # noqa: F401 - before any other part of ultralytics

        # isort: split
        import torch
        from ultralytics.engine.results import Results

        rows = np.concatenate([self.boxes, self.scores[:, None], self.classes[:, None]], 1).astype(np.float32)
        made = Results(
            self.image, path=self.shot.path, names=self.names, boxes=torch.from_numpy(rows), speed=self.speed
        )
        made.shot = self.shot
        return made
