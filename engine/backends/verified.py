"""A fresh export that must first prove itself: on the first images it runs beside PyTorch."""

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np

from engine.backends.base import Backend
from engine.runtime.log import LOGGER

LEAST = 0.05  # score from which a box counts in the comparison; nobody looks at fainter ones
BOXES, SCORES = 0.5, 0.005  # what a box may be off by in pixels, and a score
HALF_BOXES, HALF_SCORES = 8.0, 0.05  # the same in bfloat16, whose numbers have two to three digits
PATIENCE = 20  # calls after which a comparison without any box above LEAST has to do


@dataclass(frozen=True)
class Difference:
    """How far two outputs of one model lie apart.

    Attributes:
        boxes: largest difference of a coordinate in pixels, of boxes that count.
        mean_boxes: mean difference of those.
        scores: largest difference of a score, of all boxes.
        count: of the boxes compared.
    """

    boxes: float
    mean_boxes: float
    scores: float
    count: int

    def within(self, boxes: float = BOXES, scores: float = SCORES) -> bool:
        """Whether both are tolerable; not if one is no number."""
        return self.boxes <= boxes and self.scores <= scores

    def __str__(self) -> str:
        """Say it in a line."""
        return f"{self.count} boxes within {self.boxes:.1e} px, scores within {self.scores:.1e}"


def compare(found: np.ndarray, expected: np.ndarray, least: float = LEAST) -> Difference:
    """Compare two outputs (B, 4 + nc, N); boxes count whose score exceeds `least` in either."""
    if found.shape != expected.shape:
        return Difference(float("inf"), float("inf"), float("inf"), 0)
    counts = np.maximum(found[:, 4:], expected[:, 4:]).max(1) > least
    apart = np.abs(found[:, :4] - expected[:, :4]).max(1)[counts]
    scores = np.abs(found[:, 4:] - expected[:, 4:])
    mean = float(apart.mean()) if apart.size else 0.0
    return Difference(float(apart.max(initial=0)), mean, float(scores.max(initial=0)), len(apart))


class CheckedBackend:
    """A backend that is compared with PyTorch on the first images that show something, and replaced if they differ.

    Args:
        backend: the fresh one.
        reference: the same model in PyTorch.
        settle: called once, with whether the fresh one is good.
        boxes: pixels that a coordinate may be off by.
        scores: what a score may be off by.
    """

    def __init__(
        self,
        backend: Backend,
        reference: Backend,
        settle: Callable[[bool], None],
        boxes: float = BOXES,
        scores: float = SCORES,
    ) -> None:
        self.backend = backend
        self.reference: Backend | None = reference
        self.settle = settle
        self.tolerated = (boxes, scores)
        self.calls = 0
        self.good = False  # proven
        self.lock = Lock()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.backend, name)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Run the model; see `Backend`."""
        if self.good:
            return self.backend(images)
        with self.lock:  # the reference has one lane
            return self._compared(images)

    def _compared(self, images: np.ndarray) -> np.ndarray:
        if self.reference is None:  # settled by another call meanwhile
            return self.backend(images)
        try:
            found = self.backend(images)
        except Exception as error:  # noqa: BLE001 - runtimes' exceptions share no base class
            LOGGER.warning(f"{self.backend.label} cannot run the model ({' '.join(str(error).split())[:200]})")
            found = np.zeros(0)  # as wrong as can be
        expected = self.reference(images)
        difference = compare(found, expected)
        self.calls += 1
        good = difference.within(*self.tolerated)
        if good and not difference.count and self.calls < PATIENCE:
            return expected  # nothing to see yet: look at the next images too
        if good:
            LOGGER.info(f"{self.backend.label}: compared with PyTorch on an image of these: {difference}")
        else:
            LOGGER.warning(
                f"{self.backend.label} does not compute what PyTorch does ({difference}; tolerated: "
                f"{self.tolerated[0]} px, {self.tolerated[1]}): going on with {self.reference.label}"
            )
            self.backend = self.reference
        self.settle(good)
        self.good, self.reference = good, None
        return expected
