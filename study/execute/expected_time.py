"""Estimate how long a study takes: starting its processes, reading images, training, validating and measuring."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.folders import ROOT
from data.image_files import image_io

STARTED = "import engine.training.run, study.execute.measure"  # what a run's process needs before its first batch
READ = 16  # images that the time of reading one is taken from
MOSAIC = 4  # images that make up one of training
FINDING_SECONDS = 0.01  # of suppression and matching, for an image that is validated
TRAINED = 3  # looks that forward, backward and step take together
TIMES_MEASURED = 2  # the last and the best epoch
BUSY = 1.3  # a process that takes so much longer than it computes has others beside it


@dataclass(frozen=True)
class Probe:
    """What was timed once for all runs.

    Attributes:
        start: seconds that a process computes until it can train.
        read: seconds to read one image.
        slowdown: time that passes for a second of computing, 1 on a machine that does nothing else.
    """

    start: float
    read: float = 0.0
    slowdown: float = 1.0


def probe_start() -> tuple[float, float]:
    """Start a process as a run does, and return the seconds that it computed and those that passed."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    before, started = os.times(), time.perf_counter()
    subprocess.run([sys.executable, "-c", STARTED], env=environment, stdout=subprocess.DEVNULL, check=True)  # noqa: S603
    passed, after = time.perf_counter() - started, os.times()
    computed = after.children_user - before.children_user + after.children_system - before.children_system
    return computed or passed, passed  # Windows does not count its children


def read_seconds(paths: Sequence[Path]) -> float:
    """Return the seconds of reading one image, mean of a few spread over all.

    Args:
        paths: of a split; those that cannot be read count as well.
    """
    if not paths:
        return 0.0
    some = paths[:: max(1, len(paths) // READ)][:READ]
    before = time.process_time()
    for path in some:
        image_io.read(path)
    return (time.process_time() - before) / len(some)


def probe(paths: Sequence[Path]) -> Probe:
    """Time what all runs have in common.

    Args:
        paths: images of the train split.
    """
    computed, passed = probe_start()
    slowdown = passed / computed if passed > BUSY * computed else 1.0
    return Probe(computed, read_seconds(paths), slowdown)


def look_seconds(epoch: float, sizes: Mapping[str, int]) -> float:
    """Return the seconds of the model for one image that is validated.

    Args:
        epoch: seconds of computing in one, validation included.
        sizes: split → number of images.
    """
    return epoch / (TRAINED * sizes["train"] + sizes["val"])


def run_seconds(
    once: Probe, epochs: int, epoch: float, look: float, sizes: Mapping[str, int], split: str, composed: int = MOSAIC
) -> float:
    """Estimate the seconds of one run, from the start of its process to its measured numbers.

    Args:
        once: timed by `probe`.
        epochs: of training.
        epoch: seconds of computing in one, validation included, see `cost.epoch_seconds`.
        look: seconds of the model for one image that is validated; 0 leaves it to `epoch`.
        sizes: split → number of images.
        split: that is measured.
        composed: images that are read for one of training.
    """
    seen = look + FINDING_SECONDS + once.read
    reading = composed * sizes["train"] * once.read + sizes["val"] * (FINDING_SECONDS + once.read)
    training = epochs * (epoch + reading) + sizes["val"] * seen  # the best epoch is validated once more
    return once.slowdown * (once.start + training + TIMES_MEASURED * sizes[split] * seen)


def images_composed(options: Mapping[str, Any], hyperparameters: Mapping[str, Any]) -> int:
    """Return how many images training reads for one: four for a mosaic, none to speak of where they are kept in memory.

    Args:
        options: of train.py.
        hyperparameters: content of the file.
    """
    if options.get("cache") == "ram":
        return 0
    return MOSAIC if hyperparameters.get("mosaic") and not options.get("rect") else 1
