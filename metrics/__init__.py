"""Compute detection metrics from one prediction set: COCO, PASCAL VOC, kinds of errors, bootstrap over images.

Importing this package is cheap: each name is loaded when it is first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

import moved_modules  # noqa: F401 - an import of an old path names the new one

if TYPE_CHECKING:
    from metrics.bootstrap import bootstrap_ap, image_resamples
    from metrics.coco import coco_metrics
    from metrics.confusion_plot import plot_confusion
    from metrics.inputs import Detections, Truths, read_detections, read_truths
    from metrics.matching import MatchTable, match
    from metrics.report import Report, evaluate
    from metrics.tide import plot_tide, tide_errors
    from metrics.voc import voc_ap

__all__ = [
    "Detections",
    "MatchTable",
    "Report",
    "Truths",
    "bootstrap_ap",
    "coco_metrics",
    "evaluate",
    "image_resamples",
    "match",
    "plot_confusion",
    "plot_tide",
    "read_detections",
    "read_truths",
    "tide_errors",
    "voc_ap",
]

_HOMES = {
    "Detections": "metrics.inputs",
    "MatchTable": "metrics.matching",
    "Report": "metrics.report",
    "Truths": "metrics.inputs",
    "bootstrap_ap": "metrics.bootstrap",
    "coco_metrics": "metrics.coco",
    "evaluate": "metrics.report",
    "image_resamples": "metrics.bootstrap",
    "match": "metrics.matching",
    "plot_confusion": "metrics.confusion_plot",
    "plot_tide": "metrics.tide",
    "read_detections": "metrics.inputs",
    "read_truths": "metrics.inputs",
    "tide_errors": "metrics.tide",
    "voc_ap": "metrics.voc",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'metrics' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
