"""export.py as a function: the deploy form, and files for other runtimes, each checked against the checkpoint."""

import json
import logging
import shutil
from argparse import Namespace
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from engine import compat  # noqa: F401 - before any other part of ultralytics

# isort: split
import torch
from torch import Tensor
from ultralytics.engine.exporter import Exporter, export_formats
from ultralytics.nn.autobackend import AutoBackend

from engine.errors import UsageError
from engine.exported import remember
from engine.log import LOGGER
from engine.state import current_commit, plain_state
from engine.weights import load_weights

BOX_TOLERANCE, SCORE_TOLERANCE = 0.1, 1e-3  # pixels; scores run from 0 to 1


@dataclass(frozen=True)
class Parity:
    """How far an exported file's outputs lie from the checkpoint's on one image.

    Attributes:
        boxes: largest difference of a box coordinate in pixels.
        mean_boxes: mean difference.
        scores: largest difference of a score.
    """

    boxes: float
    mean_boxes: float
    scores: float

    @property
    def holds(self) -> bool:
        """Whether both are within tolerance; not if one is no number."""
        return self.boxes <= BOX_TOLERANCE and self.scores <= SCORE_TOLERANCE

    def __str__(self) -> str:
        """Say it in a line."""
        return (
            f"boxes differ by {self.boxes:.2e} px at most ({self.mean_boxes:.2e} on average; tolerance "
            f"{BOX_TOLERANCE}), scores by {self.scores:.2e} (tolerance {SCORE_TOLERANCE})"
        )


def run(options: Namespace) -> list[Path]:
    """Do what export.py was asked to.

    Returns:
        The files and folders written.

    Raises:
        UsageError, CheckpointError: if the input is wrong.
        RuntimeError: if a result does not compute what the checkpoint computes; it is not left on disk.
    """
    from models import Detector, reparameterize

    if not options.weights:
        raise UsageError("--weights is missing: name the checkpoint to export")
    if not options.reparameterize and not options.include:
        raise UsageError("nothing to write: give --reparameterize, --include onnx torchscript openvino, or both")
    detector = load_weights(options.weights, options)
    if not isinstance(detector, Detector):
        raise UsageError(f"--weights {options.weights}: is an exported model already; give the checkpoint")
    stride = int(detector.stride.max())
    if options.imgsz % stride:
        raise UsageError(f"--imgsz {options.imgsz} is not a multiple of {stride}; write {_next(options.imgsz, stride)}")
    source = Path(str(options.weights))
    folder = Path(options.output) if options.output else source.parent
    folder.mkdir(parents=True, exist_ok=True)
    written, stem = [], source.stem
    if options.reparameterize:
        deployed = reparameterize(detector, options.tolerance)
        stem = f"{stem}-deploy"
        written.append(_save(deployed, folder / f"{stem}.pt", source))
        LOGGER.info(f"{written[-1]}: {_millions(detector)} → {_millions(deployed)} parameters; {deployed.agreement}")
        detector = deployed
    for name in options.include:
        written.append(export(detector, name, folder / stem, options))
    return written


def export(detector: Any, name: str, target: Path, options: Namespace) -> Path:
    """Write one format and check it.

    Args:
        detector: the model; it is not changed.
        name: one of `engine.export_flags.FORMATS`.
        target: path of the result without its ending.
        options: imgsz, batch_size, dynamic, opset, simplify, device.

    Raises:
        RuntimeError: if the file's outputs differ from the detector's; it is removed.
    """
    try:
        path = write(
            detector,
            name,
            target,
            imgsz=options.imgsz,
            device=options.device or "cpu",
            batch=options.batch_size,
            dynamic=options.dynamic,
            opset=options.opset,
            simplify=options.simplify,
        )
    except ModuleNotFoundError as error:
        raise UsageError(f"--include {name} needs {error.name}: pip install {error.name}") from None
    parity = compare(detector, path, options)
    if not parity.holds:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        raise RuntimeError(f"{path}: removed, because it does not compute the same: {parity}")
    LOGGER.info(f"{path}: {parity}")
    remember(path)
    return path


def write(detector: Any, name: str, target: Path, imgsz: int, device: str = "cpu", **settings: Any) -> Path:
    """Write one format, unchecked.

    Args:
        detector: the model; it is not changed.
        name: of the format, as ultralytics calls it.
        target: path of the result without its ending.
        imgsz: pixels of a side.
        device: where the model is traced.
        settings: of ultralytics' exporter; those that a format does not take are left out.

    Returns:
        The file or folder.
    """
    model = deepcopy(detector)
    model.pt_path = str(target.with_name(f"{target.name}.pt"))
    overrides = {"format": name, "imgsz": imgsz, "device": device, "mode": "export", **_taken(name, **settings)}
    level = LOGGER.level
    LOGGER.setLevel(logging.ERROR)  # it has a page to say about every file
    try:
        return Path(str(_Exporter(overrides=overrides)(model=model)))
    finally:
        LOGGER.setLevel(level)


class _Exporter(Exporter):
    """ultralytics' exporter, whose files also say how their model was described."""

    @property
    def metadata(self) -> dict[str, Any]:
        """What is written into a file beside the model."""
        return self._metadata

    @metadata.setter
    def metadata(self, facts: dict[str, Any]) -> None:
        self._metadata = {**facts, "spec": json.dumps(self.model.spec.yaml)} if "names" in facts else facts


def _taken(name: str, **wanted: Any) -> dict[str, Any]:
    """Return the options that a format takes; ultralytics refuses others even where they say nothing."""
    table = export_formats()
    taken = dict(zip(table["Argument"], table["Arguments"], strict=True))[name]
    return {key: value for key, value in wanted.items() if key in taken}


@torch.no_grad()
def compare(detector: Any, path: Path, options: Namespace) -> Parity:
    """Run checkpoint and exported file on one image of noise."""
    device = torch.device("cpu")
    generator = torch.Generator().manual_seed(0)
    images = torch.rand((options.batch_size, detector.spec.ch, options.imgsz, options.imgsz), generator=generator)
    expected = deepcopy(detector).float().to(device).eval()(images)[0]
    found = _first(AutoBackend(str(path), device=device)(images))
    difference = (found.float() - expected).abs()
    return Parity(float(difference[:, :4].max()), float(difference[:, :4].mean()), float(difference[:, 4:].max()))


def _first(output: Tensor | Sequence[Any]) -> Tensor:
    while not isinstance(output, Tensor):
        output = output[0]
    return output


def _save(detector: Any, path: Path, source: Path) -> Path:
    """Write a detector as a checkpoint."""
    from models.weights.checkpoint import FORMAT, save_checkpoint

    content = {
        "format": FORMAT,
        "spec": detector.spec.yaml,
        "names": {int(number): str(name) for number, name in detector.names.items()},
        "stride": [float(stride) for stride in detector.stride],
        "weights": plain_state(detector),
        "hyp": dict(detector.hyp),
        "provenance": {
            "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "commit": current_commit(),
            "made from": source.name,
            "form": "deploy",
        },
    }
    save_checkpoint(path, content)
    return path


def _millions(detector: Any) -> str:
    return f"{sum(p.numel() for p in detector.parameters()) / 1e6:.2f} M"


def _next(size: int, stride: int) -> int:
    return (size + stride - 1) // stride * stride
