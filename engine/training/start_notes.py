"""Say before a training what the user should know: attention that changes the detector, loggers that are missing."""

import importlib.util
import os
from typing import Any

from torch import nn

from models.upstream.environment import REMOTE_LOGGERS

LISTED = 6  # places named one by one
# Package that a logger needs, where its name is another.
PACKAGES = {"comet": "comet_ml", "dvc": "dvclive", "raytune": "ray"}


def changing_attention(model: Any) -> list[str]:
    """Return new attention that does not start as the identity on pretrained layers, as "CBAM after 17".

    Args:
        model: a Detector with the report of what it took over from a checkpoint.
    """
    report = getattr(model, "transfer_report", None)
    if report is None or not report.transferred:
        return []
    new = set(report.new)
    changing = []
    for path in model.attention_names():
        module = model.get_submodule(path)
        keys = [f"{path}.{key}" for key in module.state_dict()]
        layer = path.split(".")[1]
        fresh = all(key in new for key in keys) if keys else layer not in report.layers
        if fresh and not _starts_as_identity(module):
            changing.append(f"{_name(module)} {_place(layer, path)}")
    return changing


def identity_warning(model: Any) -> str:
    """Return a line about attention that changes a pretrained detector, and what to do; empty where there is none."""
    changing = changing_attention(model)
    if not changing:
        return ""
    shown = ", ".join(changing[:LISTED]) + (f" and {len(changing) - LISTED} more" if len(changing) > LISTED else "")
    return (
        f"{shown}: not the identity at the start, so the pretrained layers behind get maps they never saw, and the "
        "detector may find nothing at first; to keep it as it is and let training decide, add --identity "
        "(in a YAML: identity: true)"
    )


def missing_loggers() -> list[str]:
    """Return a line for each logger of YOLO_ATTENTION_LOGGERS that cannot log, saying why."""
    lines = []
    for name in os.environ.get("YOLO_ATTENTION_LOGGERS", "").replace(",", " ").split():
        package = PACKAGES.get(name, name)
        if name not in REMOTE_LOGGERS:
            lines.append(f"YOLO_ATTENTION_LOGGERS: there is no logger {name}; there are {', '.join(REMOTE_LOGGERS)}")
        elif importlib.util.find_spec(package) is None:
            lines.append(f"YOLO_ATTENTION_LOGGERS: {name} is not installed, nothing goes there: pip install {package}")
    return lines


def _starts_as_identity(module: nn.Module) -> bool:
    if type(module) is nn.Sequential:
        return all(_starts_as_identity(child) for child in module)
    return bool(getattr(module, "starts_at_identity", False))


def _name(module: nn.Module) -> str:
    if type(module) is nn.Sequential:
        return f"{len(module)} × {_name(module[0])}"
    return type(module).__name__


def _place(layer: str, path: str) -> str:
    if ".attention" in path:
        return f"inside layer {layer}"
    return f"after layer {layer.split('+')[0]}" if "+" in layer else f"in row {layer}"
