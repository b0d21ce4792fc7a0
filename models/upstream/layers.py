"""What models/ uses of ultralytics."""

from ultralytics.nn import tasks
from ultralytics.nn.modules import block, conv
from ultralytics.nn.modules.block import SPPF
from ultralytics.nn.modules.conv import Conv
from ultralytics.nn.modules.head import Detect, v10Detect
from ultralytics.nn.tasks import DetectionModel
from ultralytics.utils import LOGGER
from ultralytics.utils.metrics import bbox_iou
from ultralytics.utils.torch_utils import scale_img, time_sync

from models.upstream.pillow_opener import restore_opener

__all__ = [
    "LOGGER",
    "SPPF",
    "Conv",
    "Detect",
    "DetectionModel",
    "bbox_iou",
    "block",
    "conv",
    "scale_img",
    "tasks",
    "time_sync",
    "v10Detect",
]

restore_opener()
