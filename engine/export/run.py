"""Export a checkpoint: its deploy form, and files for other runtimes, each compared with the checkpoint."""

import shutil
import tempfile
from argparse import Namespace
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from engine.backends.base import Backend
from engine.backends.write import write_format
from engine.cli.export_flags import FORMATS, HUGGINGFACE, export_parser
from engine.cli.parser import options_from
from engine.datasets.splits import data_name
from engine.errors import RunFailed, UsageError
from engine.export.huggingface import write_folder
from engine.export.opset import check_opset
from engine.export.parity import CONF_THRES, IOU_THRES, MAX_DET, compare_with_checkpoint
from engine.model_loading import load_weights
from engine.runtime.devices import check_device
from engine.runtime.image_size import size_of
from engine.runtime.log import LOGGER
from engine.training.run_state import current_commit, plain_state
from engine.trusted_files import remember
from models.network.cost import count_parameters
from models.upstream.export import export_formats

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from engine.cli.option_types import ExportOptions


def export_model(weights: Any, **options: "Unpack[ExportOptions]") -> list[Path]:
    """Export a checkpoint from Python, each file compared with the checkpoint before it takes its place.

        from engine import export_model
        export_model("best.pt", include=["onnx"], imgsz=320)

    Args:
        weights: path of a checkpoint, or official name.
        options: export.py's flags with underscores, for example include=["onnx", "openvino"], dynamic=True.

    Returns:
        The files and folders written.

    Raises:
        UsageError, CheckpointError: if the input is wrong.
        RunFailed: if a result does not compute what the checkpoint computes; it is not written.
    """
    return run_export(options_from(export_parser(), "export_model", {"weights": weights, **options}))


def run_export(options: Namespace) -> list[Path]:
    """Export a checkpoint as export.py's flags ask.

    Returns:
        The files and folders written.

    Raises:
        UsageError, CheckpointError: if the input is wrong.
        RunFailed: if a result does not compute what the checkpoint computes; it is not written.
    """
    from models import Detector

    if not options.weights:
        raise UsageError("--weights is missing: name the checkpoint to export")
    if not options.reparameterize and not options.include:
        raise UsageError("nothing to write: give --reparameterize, --include onnx torchscript openvino, or both")
    if isinstance(options.weights, Detector):
        raise UsageError("weights: a Detector is no path; give that of its checkpoint, train(…).best say")
    detector = load_weights(options.weights, options)
    if not isinstance(detector, Detector):
        raise UsageError(f"--weights {options.weights}: is an exported model already; give the checkpoint")
    _check_together(options)
    stride = int(detector.stride.max())
    options.imgsz = _side(options.imgsz) or size_of(detector, None)
    if options.imgsz % stride:
        raise UsageError(f"--imgsz {options.imgsz} is not a multiple of {stride}; write {_next(options.imgsz, stride)}")
    source = Path(str(options.weights))
    folder = Path(options.output) if options.output else source.parent
    folder.mkdir(parents=True, exist_ok=True)
    written, stem = [], source.stem
    if options.reparameterize:
        stem = f"{stem}-deploy"
        deployed = _deploy_form(detector, options.tolerance, folder / f"{stem}.pt")
        deployed.trained_imgsz = detector.trained_imgsz
        written.append(_save(deployed, folder / f"{stem}.pt", source))
        LOGGER.info(f"{written[-1]}: {_millions(detector)} → {_millions(deployed)} parameters; {deployed.agreement}")
        detector = deployed
    int8 = None
    if options.int8:
        from engine.export.quantization import Int8Quantization

        int8 = Int8Quantization(detector, options)
    for name in options.include:
        if name == HUGGINGFACE:
            target = folder / f"{stem}-{HUGGINGFACE}"
            written.append(write_folder(detector, plain_state(detector), source, target, options.study))
            continue
        written.append(export_format(detector, name, folder / stem, options, int8))
    return written


def _deploy_form(detector: Any, tolerance: float, target: Path) -> Any:
    """Return the deploy form of a detector, which is to be written to a file.

    Raises:
        RunFailed: if it does not compute what the detector computes.
        SpecError: if the head has no deploy form.
    """
    from models.reparameterization import FormsDisagree, reparameterize

    try:
        return reparameterize(detector, tolerance)
    except FormsDisagree as error:
        raise RunFailed(f"{target}: not written: {error}; --tolerance says what is accepted") from None


def _check_together(options: Namespace) -> None:
    """Refuse options that do not go together."""
    if options.study is not None and HUGGINGFACE not in options.include:
        raise UsageError("--study: is told in the model card of --include huggingface; add that, or leave it out")
    if options.half and options.int8:
        raise UsageError("--half and --int8 exclude each other: choose one")


def _side(asked: int | Sequence[int] | None) -> int | None:
    """Return the side that is asked for: one number, or the same one for height and width as YOLOv5 writes it.

    Raises:
        UsageError: if height and width differ.
    """
    sides = {asked} if isinstance(asked, int) else set(asked or ())
    if len(sides) > 1:
        said = " ".join(map(str, asked if isinstance(asked, Sequence) else ()))
        raise UsageError(f"--imgsz {said}: exported files take squares; give one number, or --dynamic for any size")
    return sides.pop() if sides else None


def export_format(detector: Any, name: str, target: Path, options: Namespace, int8: Any) -> Path:
    """Write one format and compare it with the checkpoint.

    Args:
        detector: the model; it is not changed.
        name: one of `engine.cli.export_flags.FORMATS`.
        target: path of the result without its ending.
        options: imgsz, batch_size, dynamic, opset, simplify, nms, half, data, max_drop, device.
        int8: an `engine.export.quantization.Int8Quantization` for a file in 8 bits, else None.

    Returns:
        The file or folder. It takes the place of an earlier one only when it has been checked.

    Raises:
        UsageError: if the format needs something that is not installed, or does not take an option.
        RunFailed: if the file's outputs differ from the detector's, or 8 bits lose too much AP.
    """
    _check_options(name, options)
    _check_layers(detector, name)
    check_opset(detector, name, options)
    images, device = int8.images if int8 else None, _device(name, options.device)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".export-") as folder:
        try:
            made = write_format(
                detector,
                FORMATS[name],
                Path(folder) / target.name,
                images,
                int8.quantize_onnx if int8 else None,
                imgsz=options.imgsz,
                device=device,
                batch=options.batch_size,
                dynamic=options.dynamic,
                opset=options.opset,
                simplify=options.simplify,
                **({"nms": True, "conf": CONF_THRES, "iou": IOU_THRES, "max_det": MAX_DET} if options.nms else {}),
                quantize=8 if int8 else 16 if options.half else None,
                data=data_name(options.data) if int8 else None,
            )
        except ModuleNotFoundError as error:
            raise UsageError(f"--include {name} needs {error.name}: pip install {error.name}") from None
        except (AssertionError, ValueError, ImportError, NotImplementedError) as error:
            raise UsageError(f"--include {name}: {' '.join(str(error).split())[:400]}") from None
        path = target.parent / made.name
        _check(detector, made, path, options, int8)
        if path.is_dir():
            shutil.rmtree(path)
        made.replace(path)
    remember(path)
    return path


def _device(name: str, asked: str) -> str:
    """Return where a format is written: a TensorRT engine on the GPU that it is for, all else on the CPU.

    Raises:
        UsageError: for a device that is not there, and a TensorRT engine without an NVIDIA GPU.
    """
    if name != "tensorrt":
        check_device(asked)
        return asked or "cpu"
    if not torch.cuda.is_available() or torch.version.hip or asked.lower() == "cpu":
        raise UsageError("--include tensorrt: an engine is made on the NVIDIA GPU that will run it; none is used here")
    return asked or "0"


def _check_options(name: str, options: Namespace) -> None:
    """Refuse options that the format cannot hold: the file would lack what was asked for."""
    table = export_formats()
    taken = dict(zip(table["Argument"], table["Arguments"], strict=True))[FORMATS[name]]
    for flag, setting in (("dynamic", "dynamic"), ("nms", "nms"), ("half", "quantize"), ("int8", "quantize")):
        if getattr(options, flag) and setting not in taken:
            raise UsageError(f"--{flag}: {name} files cannot have it; leave it out, or export {name} by itself")


def _check_layers(detector: Any, name: str) -> None:
    """Refuse a format that cannot hold one of the model's layers.

    Raises:
        UsageError: naming the layer, and the format that can.
    """
    for path, layer in detector.named_modules():
        reason = getattr(type(layer), "not_in_onnx", "")
        if reason and name in ("onnx", "openvino"):
            raise UsageError(f"--include {name}: {path} {reason}; export torchscript, which holds it")


def _check(detector: Any, made: Path, path: Path, options: Namespace, int8: Any) -> None:
    """Compare what was written with the checkpoint, and say how it compares.

    Raises:
        RunFailed: if it is out of tolerance.
    """
    parity = compare_with_checkpoint(
        detector, open_file(made, options.device), options.imgsz, options.batch_size, options.half
    )
    if int8:
        drop = int8.measure_drop(made)
        if drop.drop > options.max_drop:
            raise RunFailed(f"{path}: not written, because 8 bits cost more than --max-drop {options.max_drop}: {drop}")
        LOGGER.info(f"{path}: {drop}; {parity.matches}")
        return
    if not parity.holds:
        raise RunFailed(f"{path}: not written, because it does not compute the same: {parity}")
    LOGGER.info(f"{path}: {parity}")
    if options.nms and not parity.detections:
        LOGGER.warning(
            f"{path}: only its running was checked, because no box of the sample images reaches confidence "
            f"{CONF_THRES}: train longer, or export without --nms, where raw boxes are compared"
        )


def open_file(path: Path, device: str = "") -> Backend:
    """Open an exported file in the runtime that detection would take for it."""
    if path.suffix == ".onnx":
        from engine.backends.onnx import OnnxBackend

        return OnnxBackend(str(path))
    if path.name.endswith("_openvino_model"):
        from engine.backends.openvino import OpenVinoBackend

        return OpenVinoBackend(str(path))
    from engine.backends.autobackend import UltralyticsBackend

    return UltralyticsBackend(str(path), device)


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
            **({"imgsz": detector.trained_imgsz} if detector.trained_imgsz else {}),
        },
    }
    save_checkpoint(path, content)
    return path


def _millions(detector: Any) -> str:
    return f"{count_parameters(detector) / 1e6:.2f} M"


def _next(size: int, stride: int) -> int:
    return (size + stride - 1) // stride * stride
