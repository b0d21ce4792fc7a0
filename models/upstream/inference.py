"""What engine/ uses of ultralytics to run models and to hand over detections."""

from typing import Any

from ultralytics.engine.results import Results
from ultralytics.nn.autobackend import AutoBackend
from ultralytics.utils.torch_utils import select_device

from models.upstream.patches import apply

__all__ = ["AutoBackend", "FramedResults", "Results", "select_device"]

apply()


class FramedResults(Results):  # type: ignore[misc]
    """Results with `frame`, which stays when they are sliced, copied, or moved to another device.

    Args:
        frame: where the image comes from.
        *args, **kwargs: of Results.
    """

    def __init__(self, frame: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.frame = frame

    def new(self) -> "FramedResults":
        """Return one of the same image without boxes."""
        made = FramedResults(self.frame, self.orig_img, self.path, self.names, speed=self.speed)
        made.save_dir = self.save_dir
        return made
