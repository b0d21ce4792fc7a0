"""What engine/ uses of ultralytics to validate."""

from ultralytics.models.yolo.detect import DetectionValidator
from ultralytics.utils.metrics import ConfusionMatrix

from models.upstream.patches import apply

__all__ = ["ConfusionMatrix", "DetectionValidator"]

apply()
