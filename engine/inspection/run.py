"""Detect with maps: detect.py --maps."""

from argparse import Namespace
from functools import partial
from pathlib import Path
from typing import Any

from engine.detection.run import run_detection
from engine.errors import UsageError
from engine.inspection.observer import MapObserver
from engine.model_loading import load_weights
from engine.runtime.log import LOGGER
from models.network.detector import Detector


def run_with_maps(options: Namespace) -> None:
    """Run detection as detect.py's flags ask, and write maps of what the model does inside.

    Raises:
        UsageError: if a flag or the source is wrong, or the model cannot be looked into.
    """
    from engine.cli.run_folder import DIGITS_WEIGHTS

    if options.backend not in ("auto", "torch"):
        raise UsageError(
            f"--backend {options.backend}: --maps looks inside the model, which only PyTorch can; leave it out"
        )
    given = options.weights or str(DIGITS_WEIGHTS)
    detector = load_weights(given, options)
    if not isinstance(detector, Detector):
        raise UsageError(f"--maps looks inside the model: give the checkpoint instead of {given}")
    LOGGER.info(f"--maps {' '.join(options.maps)}: PyTorch runs the model, since other runtimes have no inside")
    options.cfg, options.attention, options.identity = "", [], False  # they are in the detector by now
    options.weights = (
        detector  # a copy of it is folded for speed, and mechanisms that do not act yet are taken out there
    )
    run_detection(options, partial(_observer, detector=detector, options=options))


def _observer(backend: Any, folder: Path, *, detector: Any, options: Namespace) -> MapObserver:
    return MapObserver(detector, backend.device, folder, options, backend.names)
