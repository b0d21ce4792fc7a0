"""What engine/ uses of ultralytics to run models and to hand over detections."""

from ultralytics.engine.results import Results
from ultralytics.nn.autobackend import AutoBackend
from ultralytics.utils.torch_utils import select_device

from models.upstream.patches import apply

__all__ = ["AutoBackend", "Results", "select_device"]

apply()
