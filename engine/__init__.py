"""Training, validation, detection and export: subclasses of ultralytics' engine.

Light to import: the names below load torch and ultralytics when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

import moved_modules  # noqa: F401 - an import of an old path names the new one

if TYPE_CHECKING:
    from engine.detection.coco_json import coco_results, write_coco
    from engine.detection.run import detect, load
    from engine.export.run import export_model
    from engine.training.run import train
    from engine.validation.run import validate

_MODULES = {
    "detect": "engine.detection.run",
    "load": "engine.detection.run",
    "train": "engine.training.run",
    "validate": "engine.validation.run",
    "export_model": "engine.export.run",
    "coco_results": "engine.detection.coco_json",
    "write_coco": "engine.detection.coco_json",
}

__all__ = ["coco_results", "detect", "export_model", "load", "train", "validate", "write_coco"]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module 'engine' has no attribute '{name}'; it has {', '.join(__all__)}")
