"""Training, validation and detection: subclasses of ultralytics' engine.

Light to import: the names below load torch and ultralytics when they are first used.
"""

from importlib import import_module
from typing import Any

import moved_modules  # noqa: F401 - an import of an old path names the new one

_MODULES = {"detect": "engine.detection.run", "train": "engine.training.run", "validate": "engine.validation.run"}

__all__ = ["detect", "train", "validate"]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module 'engine' has no attribute '{name}'; it has {', '.join(__all__)}")
