"""Save and restore a run's state: what last.pt and best.pt hold, as plain types."""

import hashlib
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from data import files
from data.folders import ROOT
from engine.runtime.log import LOGGER
from models.errors import CheckpointError
from models.upstream.training import ULTRALYTICS_VERSION, ModelEMA, unwrap_model
from models.weights.atomic_write import write_atomically
from models.weights.checkpoint import save_checkpoint


def data_fingerprint(records: Any) -> str:
    """Return a hash of a split's file names, sizes and boxes, to notice that the data changed under a run."""
    digest = hashlib.sha256()
    for record in records:
        digest.update(f"{record.path.name} {record.path.stat().st_size} {record.width} {record.height}\n".encode())
        digest.update(record.classes.tobytes())
        digest.update(record.boxes_xyxy.tobytes())
    return digest.hexdigest()


def provenance(trainer: Any) -> dict[str, Any]:
    """Return where a checkpoint comes from: command, versions, data, and the figures of its epoch."""
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "commit": current_commit(),
        "torch": str(torch.__version__),
        "ultralytics": ULTRALYTICS_VERSION,
        "precision": trainer.precision.name,
        "threads": torch.get_num_threads(),
        "data": trainer.data_label,
        "imgsz": int(trainer.args.imgsz),
        "seed": int(trainer.args.seed),
        "epoch": int(trainer.epoch) + 1,
        "metrics": {key: float(value) for key, value in (trainer.metrics or {}).items()},
        "license": "AGPL-3.0",
    }


def current_commit() -> str:
    """Return the checkout's commit; empty where it is none."""
    command = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return ""


def plain_state(module: Any) -> dict[str, Tensor]:
    """Return a module's tensors, in memory order, on the CPU, independent of the module."""
    return {key: value.detach().to("cpu", copy=True).contiguous() for key, value in module.state_dict().items()}


def halved(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors with large ones in half precision; vectors and anchors stay exact, and cost little."""
    return {
        key: value.half() if value.is_floating_point() and value.ndim > 1 and "anchor" not in key else value
        for key, value in state.items()
    }


def weights_content(trainer: Any, half: bool) -> dict[str, Any]:
    """Return the published half of a checkpoint: the averaged weights and what describes them."""
    model = unwrap_model(trainer.model)
    weights = plain_state(trainer.ema.ema)
    return {
        "spec": model.spec.yaml,
        "names": {int(number): str(name) for number, name in model.names.items()},
        "stride": [float(stride) for stride in model.stride],
        "weights": halved(weights) if half else weights,
        "hyp": dict(model.hyp),
        "provenance": provenance(trainer),
    }


def training_content(trainer: Any) -> dict[str, Any]:
    """Return the other half: everything that the next epoch depends on."""
    return {
        "epoch": int(trainer.epoch),
        "epochs": int(trainer.epochs),
        "live": plain_state(unwrap_model(trainer.model)),
        "optimizer": _on_cpu(trainer.optimizer.state_dict()),
        "scaler": trainer.scaler.state_dict(),
        "ema_updates": int(trainer.ema.updates),
        "best_fitness": None if trainer.best_fitness is None else float(trainer.best_fitness),
        "stopper": {
            "best_fitness": float(trainer.stopper.best_fitness),
            "best_epoch": int(trainer.stopper.best_epoch),
            "possible_stop": bool(trainer.stopper.possible_stop),
        },
        "stopped": bool(trainer.stop),
        "results": list(trainer.rows),
        "options": dict(trainer.options),
        "fingerprints": dict(trainer.fingerprints),
        "threads": torch.get_num_threads(),
    }


def _on_cpu(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, dict):
        return {key: _on_cpu(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_on_cpu(inner) for inner in value]
    return value


def restore(trainer: Any, content: dict[str, Any]) -> None:
    """Put a trainer that is set up into the state of a checkpoint.

    Args:
        trainer: with model, optimizer, scaler, ema and stopper.
        content: of a last.pt.
    """
    training = content["training"]
    model = unwrap_model(trainer.model)
    model.load_state_dict(training["live"])
    fused = [group.get("fused") for group in trainer.optimizer.param_groups]  # of this device, not of the run's first
    trainer.optimizer.load_state_dict(training["optimizer"])
    for group, value in zip(trainer.optimizer.param_groups, fused, strict=True):
        group["fused"] = value
    if training["scaler"]:  # empty where the run computed without one, on another device or in another precision
        trainer.scaler.load_state_dict(training["scaler"])
    trainer.ema = ModelEMA(trainer.model)  # validation made inference tensors of the old one, which cannot be updated
    trainer.ema.ema.load_state_dict(content["weights"])
    trainer.ema.ema.criterion = None  # validation makes one that counts in its own process only
    trainer.ema.updates = training["ema_updates"]
    trainer.best_fitness = training["best_fitness"]
    for key, value in training["stopper"].items():
        setattr(trainer.stopper, key, value)
    trainer.rows = list(training["results"])


def write_checkpoints(trainer: Any) -> None:
    """Write best.pt when this epoch is the best, a copy every --save-period epochs, and last.pt.

    last.pt comes last: it says that the epoch is done, so a kill in between repeats the epoch and writes all again.

    Raises:
        CheckpointError: if a file cannot be written; the previous one is kept.
    """
    _make_folder(trainer.wdir)
    whole = {**weights_content(trainer, half=False), "training": training_content(trainer)}
    if trainer.fitness is not None and trainer.best_fitness == trainer.fitness:
        save_checkpoint(trainer.best, weights_content(trainer, half=True))
    if trainer.save_period > 0 and (trainer.epoch + 1) % trainer.save_period == 0 and trainer.epoch >= 0:
        save_checkpoint(trainer.wdir / f"epoch{trainer.epoch + 1}.pt", whole)
    save_checkpoint(trainer.last, whole)


def write_table(path: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """Write results.csv; where another program has it open on Windows, say so and leave it to the next epoch.

    Args:
        path: the file; its folder is made anew if it was deleted.
        rows: one an epoch; the first has all columns.

    Raises:
        CheckpointError: if it cannot be written; the previous one is kept.
    """
    _make_folder(path.parent)
    keys = list(rows[0])
    lines = [",".join(keys), *(",".join(f"{row.get(key, 0):.6g}" for key in keys) for row in rows)]
    text = "\n".join(lines) + "\n"
    try:
        write_atomically(path, lambda stream: stream.write(text.encode()))
    except CheckpointError as error:
        if not (files.HOLDS_OPEN_FILES and isinstance(error.__cause__, PermissionError)):
            raise
        LOGGER.warning(f"{path}: another program has it open; close it there, and the next epoch writes all rows")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CheckpointError(f"{folder}: cannot be made ({error.strerror or error})") from None
