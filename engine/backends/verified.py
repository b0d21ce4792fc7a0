"""Verify a fresh export: on the first images it runs beside PyTorch, which replaces it if they differ."""

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np

from engine.backends.base import Backend
from engine.runtime.log import LOGGER

CONF_THRES = 0.05  # score from which a box counts in the comparison; nobody looks at fainter ones
BOXES, SCORES = 0.5, 0.005  # what a box may be off by in pixels, and a score
HALF_BOXES, HALF_SCORES = 8.0, 0.05  # the same in bfloat16, whose numbers have two to three digits
PATIENCE = 20  # calls after which a comparison without any box above CONF_THRES has to do


@dataclass(frozen=True)
class Difference:
    """Hold how far two outputs of one model lie apart.

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
        """Tell whether both are within tolerance; not if one is no number."""
        return self.boxes <= boxes and self.scores <= scores

    def __str__(self) -> str:
        """Return the differences as one line."""
        return f"{self.count} boxes within {self.boxes:.1e} px, scores within {self.scores:.1e}"


def compare_outputs(output: np.ndarray, expected: np.ndarray, conf_thres: float = CONF_THRES) -> Difference:
    """Compare two outputs (B, 4 + nc, N); boxes count whose score exceeds `conf_thres` in either."""
    if output.shape != expected.shape:
        return Difference(float("inf"), float("inf"), float("inf"), 0)
    counts = np.maximum(output[:, 4:], expected[:, 4:]).max(1) > conf_thres
    apart = np.abs(output[:, :4] - expected[:, :4]).max(1)[counts]
    scores = np.abs(output[:, 4:] - expected[:, 4:])
    mean = float(apart.mean()) if apart.size else 0.0
    return Difference(float(apart.max(initial=0)), mean, float(scores.max(initial=0)), len(apart))


class VerifiedBackend:
    """Run a fresh backend beside PyTorch on the first images that show something; replace it if they differ.

    Args:
        backend: the fresh one.
        reference: the same model in PyTorch.
        on_verdict: called once, with whether the fresh one agrees with PyTorch.
        boxes: pixels that a coordinate may be off by.
        scores: what a score may be off by.
    """

    def __init__(
        self,
        backend: Backend,
        reference: Backend,
        on_verdict: Callable[[bool], None],
        boxes: float = BOXES,
        scores: float = SCORES,
    ) -> None:
        self.backend = backend
        self.reference: Backend | None = reference
        self.on_verdict = on_verdict
        self.tolerance = (boxes, scores)
        self.calls = 0
        self.good = False  # proven
        self.lock = Lock()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.backend, name)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Run the model; see `Backend`."""
        if self.good:
            return self.backend(images)
        with self.lock:  # the reference has one replica
            return self._verify(images)

    def _verify(self, images: np.ndarray) -> np.ndarray:
        if self.reference is None:  # settled by another call meanwhile
            return self.backend(images)
        try:
            output = self.backend(images)
        except Exception as error:  # noqa: BLE001 - runtimes' exceptions share no base class
            LOGGER.warning(f"{self.backend.label} cannot run the model ({' '.join(str(error).split())[:200]})")
            output = np.zeros(0)  # as wrong as can be
        expected = self.reference(images)
        difference = compare_outputs(output, expected)
        self.calls += 1
        good = difference.within(*self.tolerance)
        if good and not difference.count and self.calls < PATIENCE:
            return expected  # nothing to see yet: look at the next images too
        if good:
            LOGGER.info(f"{self.backend.label}: compared with PyTorch on an image of these: {difference}")
        else:
            LOGGER.warning(
                f"{self.backend.label} does not compute what PyTorch does ({difference}; tolerance: "
                f"{self.tolerance[0]} px, {self.tolerance[1]}): going on with {self.reference.label}"
            )
            self.backend = self.reference
        self.on_verdict(good)
        self.good, self.reference = good, None
        return expected
