"""Detection metrics from one prediction set: COCO, PASCAL VOC, kinds of errors, bootstrap over images."""

from metrics.bootstrap import bootstrap_ap, image_resamples
from metrics.coco import coco_metrics
from metrics.inputs import Detections, Truths, read_detections, read_truths
from metrics.match import MatchTable, match
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
    "plot_tide",
    "read_detections",
    "read_truths",
    "tide_errors",
    "voc_ap",
]
