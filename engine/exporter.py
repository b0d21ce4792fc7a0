"""export.py as a function: the deploy form, and files for other runtimes, each checked against the checkpoint."""

import json
import logging
import shutil
import warnings
from argparse import Namespace
from copy import deepcopy
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from engine import compat  # noqa: F401 - before any other part of ultralytics

# isort: split
from ultralytics.engine.exporter import Exporter, export_formats

from attention.fold import remove_closed
from engine.backends.base import Backend
from engine.errors import UsageError
from engine.export_flags import FORMATS
from engine.exported import remember
from engine.log import LOGGER
from engine.parity import CONFIDENCE, LIMIT, OVERLAP, compare
from engine.state import current_commit, plain_state
from engine.weights import load_weights


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
        options: imgsz, batch_size, dynamic, opset, simplify, nms, half, device.

    Raises:
        UsageError: if the format needs something that is not installed, or does not take an option.
        RuntimeError: if the file's outputs differ from the detector's; it is removed.
    """
    try:
        path = write(
            detector,
            FORMATS[name],
            target,
            imgsz=options.imgsz,
            device=options.device or "cpu",
            batch=options.batch_size,
            dynamic=options.dynamic,
            opset=options.opset,
            simplify=options.simplify,
            **({"nms": True, "conf": CONFIDENCE, "iou": OVERLAP, "max_det": LIMIT} if options.nms else {}),
            quantize=16 if options.half else None,
        )
    except ModuleNotFoundError as error:
        raise UsageError(f"--include {name} needs {error.name}: pip install {error.name}") from None
    except (AssertionError, ValueError, ImportError, NotImplementedError) as error:
        raise UsageError(f"--include {name}: {' '.join(str(error).split())[:400]}") from None
    parity = compare(detector, open_file(path, options.device), options.imgsz, options.batch_size, options.half)
    if not parity.holds:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        raise RuntimeError(f"{path}: removed, because it does not compute the same: {parity}")
    LOGGER.info(f"{path}: {parity}")
    if options.nms and not parity.detections:
        LOGGER.warning(f"{path}: the model finds nothing in the sample pictures, so only its running was checked")
    remember(path)
    return path


def open_file(path: Path, device: str = "") -> Backend:
    """Open an exported file in the runtime that detection would take for it."""
    if path.suffix == ".onnx":
        from engine.backends.onnx import OnnxBackend

        return OnnxBackend(str(path))
    if path.name.endswith("_openvino_model"):
        from engine.backends.openvino import OpenVinoBackend

        return OpenVinoBackend(str(path))
    from engine.backends.other import OtherBackend

    return OtherBackend(str(path), device)


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
    for line in remove_closed(model.model, "model"):
        LOGGER.info(line)
    model.pt_path = str(target.with_name(f"{target.name}.pt"))
    overrides = {"format": name, "imgsz": imgsz, "device": device, "mode": "export", **_taken(name, **settings)}
    level = LOGGER.level
    LOGGER.setLevel(logging.ERROR)  # it has a page to say about every file
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of functions that it uses and that PyTorch will drop one day
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
    always = {"conf", "iou", "max_det"}  # settings of every task, not of formats
    return {key: value for key, value in wanted.items() if key in always or (key in taken and value is not None)}


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
