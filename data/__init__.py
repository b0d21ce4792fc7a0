"""Read data sets: YAML → images with boxes, whatever the format on disk.

Importing this package is cheap: each name is loaded when it is first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

import moved_modules  # noqa: F401 - an import of an old path names the new one

if TYPE_CHECKING:
    from data.config import DataConfig, read_config
    from data.doctor.examine import doctor
    from data.errors import DataError
    from data.loading import load_dataset
    from data.records import Dataset, Issue, Record, Split

__all__ = ["DataConfig", "DataError", "Dataset", "Issue", "Record", "Split", "doctor", "load_dataset", "read_config"]

_HOMES = {
    "DataConfig": "data.config",
    "DataError": "data.errors",
    "Dataset": "data.records",
    "Issue": "data.records",
    "Record": "data.records",
    "Split": "data.records",
    "doctor": "data.doctor.examine",
    "load_dataset": "data.loading",
    "read_config": "data.config",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'data' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
