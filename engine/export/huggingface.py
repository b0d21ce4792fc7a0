"""Write a checkpoint as a folder that the Hugging Face hub takes: tensors, description and model card."""

import json
import shutil
import tempfile
from pathlib import Path, PureWindowsPath
from typing import Any

import torch
from torch import nn

from attention.identity_start import IdentityStart
from engine.errors import RunFailed, UsageError
from engine.export.model_card import model_card
from engine.runtime.log import LOGGER
from models.errors import CheckpointError
from models.network.cost import count_parameters
from models.weights.checkpoint import FORMAT, read_checkpoint, save_checkpoint
from models.weights.download import FOLDER_WEIGHTS

# What of a training is told to strangers: its command and paths are not.
TOLD = ("date", "torch", "ultralytics", "precision", "imgsz", "epoch", "seed", "metrics", "form", "license")
MOST_REPORT = 4 << 20  # bytes of a study's report


def write_folder(
    detector: Any, weights: dict[str, torch.Tensor], source: Path, target: Path, study: str | None
) -> Path:
    """Write a checkpoint as a folder for the Hugging Face hub, and read it back.

    Args:
        detector: the model.
        weights: its tensors as a checkpoint holds them.
        source: the checkpoint that it comes from.
        target: the folder, which does not exist yet.
        study: folder of a study whose verdicts the model card tells; None for none.

    Returns:
        The folder: `model.safetensors`, `config.json`, `README.md`.

    Raises:
        UsageError: if the folder exists, or the study has no report.
        RunFailed: if what is read back is not what was written, or it cannot be written.
    """
    if target.exists():
        raise UsageError(f"{target}: exists already; move it away, or write elsewhere with --output FOLDER")
    report = _report_of(study)
    config = _config(detector, source)
    content = {
        "format": FORMAT,
        "spec": detector.spec.yaml,
        "names": {int(number): str(name) for number, name in detector.names.items()},
        "stride": config["stride"],
        "weights": weights,
        "hyp": dict(detector.hyp),
        "provenance": config["provenance"],
    }
    try:
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".export-") as folder:
            made = Path(folder) / target.name
            made.mkdir()
            save_checkpoint(made / FOLDER_WEIGHTS, content)
            text = json.dumps(config, ensure_ascii=False, indent=2)
            (made / "config.json").write_text(text + "\n", encoding="utf-8")
            (made / "README.md").write_text(model_card(target.name, config, report), encoding="utf-8")
            _read_back(made / FOLDER_WEIGHTS, weights)
            made.chmod(0o755)
            shutil.move(made, target)
    except OSError as error:
        raise RunFailed(f"{target}: cannot be written: {error.strerror or error}") from None
    LOGGER.info(f"{target}: {len(weights)} tensors as in the checkpoint, config.json, and README.md: look it through")
    return target


def _read_back(path: Path, weights: dict[str, torch.Tensor]) -> None:
    """Compare a file with the tensors that it should hold.

    Raises:
        RunFailed: if one differs.
    """
    found = read_checkpoint(path)["weights"]
    wrong = [name for name in weights if name not in found or not torch.equal(found[name], weights[name].cpu())]
    if wrong or len(found) != len(weights):
        raise RunFailed(f"{path.name}: not written, because {wrong[0] if wrong else 'a tensor'} is not read back equal")


def _config(detector: Any, source: Path) -> dict[str, Any]:
    """Return the model's description in plain types, under the names that the hub's files have."""
    return {
        "library_name": "yolo-attention",
        "model_type": "yolo-attention",
        "architectures": ["Detector"],
        "name": detector.spec.label,
        "spec": detector.spec.yaml,
        "attention": [_place(detector, path) for path in detector.attention_names()],
        "id2label": {str(number): str(name) for number, name in detector.names.items()},
        "stride": [float(stride) for stride in detector.stride],
        "image_size": getattr(detector, "trained_imgsz", None),
        "parameters": count_parameters(detector),
        "provenance": _provenance(source),
    }


def _place(detector: Any, path: str) -> str:
    """Return the mechanism at a place, as "2 × CBAM at model.17+CBAM (identity start)"."""
    module: Any = detector.get_submodule(path)
    times = ""
    if type(module) is nn.Sequential:
        module, times = module[0], f"{len(module)} × "
    gated = isinstance(module, IdentityStart)
    name = type(module.attention if gated else module).__name__
    return f"{times}{name} at {path}{' (identity start)' if gated else ''}"


def _provenance(source: Path) -> dict[str, Any]:
    """Return what a checkpoint of ours says of its training, without paths and commands."""
    try:
        known = read_checkpoint(source)["provenance"]
    except CheckpointError:
        return {"made from": source.name}
    # Anybody may have written the file: what JSON does not know becomes text.
    told = json.loads(json.dumps({key: known[key] for key in TOLD if key in known}, default=str))
    # The name alone, of a path of Windows too: those have both strokes.
    return {**told, **({"data": PureWindowsPath(str(known["data"])).name} if "data" in known else {})}


def _report_of(study: str | None) -> str | None:
    """Return the text of a study's report.

    Raises:
        UsageError: if there is none.
    """
    if study is None:
        return None
    path = Path(study) / "report.md"
    try:
        if path.stat().st_size > MOST_REPORT:
            raise UsageError(f"--study {study}: report.md is too large for a report ({MOST_REPORT >> 20} MiB at most)")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"--study {study}: has no readable report.md ({getattr(error, 'strerror', None) or 'no UTF-8'}); give the "
            "folder of a study, runs/study/NAME; `python study.py SPEC --report` writes its report"
        ) from None
