"""Measure the time of each stage: read, prepare, model, suppress, draw, write."""

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

REMEMBERED = 2_000  # measurements of each stage, the latest; a stream never ends


class Stopwatch:
    """Measure seconds by stage; each stage may run in a thread of its own."""

    def __init__(self) -> None:
        self.seconds: dict[str, deque[float]] = {}
        self.images: dict[str, int] = {}
        self.total: dict[str, float] = {}

    @contextmanager
    def measure(self, stage: str, images: int = 1) -> Iterator[None]:
        """Measure a block that works on so many images."""
        start = time.perf_counter()
        yield
        self.add(stage, time.perf_counter() - start, images)

    def add(self, stage: str, seconds: float, images: int = 1) -> float:
        """Add a measurement made elsewhere; return its ms an image."""
        self.seconds.setdefault(stage, deque(maxlen=REMEMBERED)).append(seconds / images)
        self.images[stage] = self.images.get(stage, 0) + images
        self.total[stage] = self.total.get(stage, 0.0) + seconds
        return 1000 * seconds / images

    def mean(self, stage: str) -> float:
        """Return the mean ms an image."""
        return 1000 * self.total.get(stage, 0.0) / max(1, self.images.get(stage, 0))

    def line(self) -> str:
        """Return the mean of every stage, in one line."""
        return " + ".join(f"{self.mean(stage):.1f} {stage}" for stage in self.seconds)

    def table(self, seconds: float) -> str:
        """Return a table: ms an image, and how busy each stage was in so many seconds."""
        lines = [f"{'stage':10} {'mean ms':>8} {'median':>8} {'95 %':>8} {'busy':>6}"]
        for stage, seconds_each in self.seconds.items():
            middle, high = 1000 * np.percentile(np.array(seconds_each), [50, 95])
            share = self.total[stage] / seconds
            lines.append(f"{stage:10} {self.mean(stage):8.2f} {middle:8.2f} {high:8.2f} {share:6.0%}")
        return "\n".join(lines)
