"""YOLO detectors from YAML, with attention anywhere; names load when they are first used."""

from importlib import import_module
from typing import Any

import moved_modules  # noqa: F401 - an import of an old path names the new one

_HOMES = {
    "Detector": "models.network.detector",
    "ModelSpec": "models.spec.model_spec",
    "SpecError": "models.errors",
    "CheckpointError": "models.errors",
    "build_model": "models.build",
    "import_official": "models.load",
    "load_model": "models.load",
    "read_spec": "models.spec.model_spec",
    "register_block": "models.catalog.registry",
    "register_head": "models.catalog.heads",
    "reparameterize": "models.reparameterization",
    "scaled": "models.catalog.channel_rules",
}

__all__ = [
    "CheckpointError",
    "Detector",
    "ModelSpec",
    "SpecError",
    "build_model",
    "import_official",
    "load_model",
    "read_spec",
    "register_block",
    "register_head",
    "reparameterize",
    "scaled",
]


def __getattr__(name: str) -> Any:
    """Import a public name from the module that defines it."""
    if name not in _HOMES:
        raise AttributeError(f"module 'models' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)
