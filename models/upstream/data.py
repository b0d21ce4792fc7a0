"""What engine/ uses of ultralytics to read images and streams."""

import time
from typing import Any

import numpy as np
from ultralytics.data.augment import Albumentations, BaseMixTransform, Compose, Mosaic
from ultralytics.data.dataset import YOLODataset
from ultralytics.data.loaders import LoadStreams
from ultralytics.utils import LOGGER

from models.upstream.patches import apply

__all__ = ["Albumentations", "BaseMixTransform", "Compose", "Mosaic", "Streams", "YOLODataset"]

apply()

POLL = 0.002  # seconds between looks whether the next image is there


class Streams(LoadStreams):  # type: ignore[misc]
    """Read cameras and network streams, see LoadStreams; where one gives no image, none is made up.

    Several are read side by side: there, an image of black stands for the camera that gives none, so that the others
    go on.
    """

    def update(self, i: int, cap: Any, stream: Any) -> None:
        """Keep the newest image of a stream, in a thread of its own.

        Args:
            i: number of the stream.
            cap: its cv2.VideoCapture, of which one image was read.
            stream: what to open again when it breaks off.
        """
        number = 0
        while self.running and cap.isOpened() and number + 1 < self.frames[i]:
            number += 1
            cap.grab()
            if number % self.vid_stride:
                continue
            good, image = cap.retrieve()
            if good and image is not None:
                self.imgs[i] = [image]
                continue
            LOGGER.warning(f"{stream}: gives no image; opening it again")
            cap.open(stream)
            if self.bs > 1:
                self.imgs[i] = [np.zeros(self.shape[i], np.uint8)]

    def wait(self) -> None:
        """Wait until every stream has an image, or one has ended: LoadStreams itself warns at every look."""
        while not all(self.imgs) and all(thread.is_alive() for thread in self.threads):
            time.sleep(POLL)

    def __next__(self) -> Any:
        self.wait()
        return super().__next__()
