"""--weights of val.py and detect.py: a checkpoint, the name of an official release, or an exported model."""

from pathlib import Path
from typing import Any

from engine.errors import UsageError

# What ultralytics' runtimes read besides checkpoints.
EXPORTED = (".onnx", ".torchscript", ".engine", ".mlpackage", ".tflite", "_openvino_model", "_ncnn_model")


def load_weights(weights: Any, download: bool = False) -> Any:
    """Return what ultralytics' predictor and validator take: a Detector, or the path of an exported model.

    Args:
        weights: path or official name; a model is returned as it is.
        download: whether official weights that are not on disk may be fetched.

    Raises:
        UsageError: if there is no such exported model.
        CheckpointError: if there is no such checkpoint, or it cannot be read safely.
    """
    if not isinstance(weights, str | Path):
        return weights
    if str(weights).rstrip("/").endswith(EXPORTED):
        if not Path(weights).exists():
            raise UsageError(f"--weights {weights}: there is no such exported model")
        return str(weights).rstrip("/")
    from models import load_model
    from models.weights.download import resolve_weights

    return load_model(resolve_weights(weights, download))
