"""Detection metrics from one prediction set: COCO, PASCAL VOC, kinds of errors, bootstrap over images."""

from metrics.coco import coco_metrics
from metrics.voc import voc_ap

__all__ = ["coco_metrics", "voc_ap"]
