"""Data sets: YAML → pictures with boxes, whatever the format on disk.

Importing this package is cheap: each name is loaded when it is first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from data.config import DataConfig, read_config
    from data.errors import DataError
    from data.examine import doctor
    from data.formats.records import Dataset, Issue, Record, Split
    from data.loading import load_dataset

__all__ = ["DataConfig", "DataError", "Dataset", "Issue", "Record", "Split", "doctor", "load_dataset", "read_config"]

_HOMES = {
    "DataConfig": "data.config",
    "DataError": "data.errors",
    "Dataset": "data.formats.records",
    "Issue": "data.formats.records",
    "Record": "data.formats.records",
    "Split": "data.formats.records",
    "doctor": "data.examine",
    "load_dataset": "data.loading",
    "read_config": "data.config",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'data' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
