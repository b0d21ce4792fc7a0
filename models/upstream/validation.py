"""What engine/ uses of ultralytics to validate."""

from ultralytics.models.yolo.detect import DetectionValidator

from models.upstream.patches import apply

__all__ = ["DetectionValidator"]

apply()
