"""What engine/ uses of ultralytics to train."""

from ultralytics import __version__ as ULTRALYTICS_VERSION
from ultralytics.cfg import get_cfg
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.utils.torch_utils import ModelEMA, autocast, unwrap_model

from models.upstream.patches import apply

__all__ = [
    "ULTRALYTICS_VERSION",
    "DetectionTrainer",
    "ModelEMA",
    "autocast",
    "get_cfg",
    "unwrap_model",
]

apply()
