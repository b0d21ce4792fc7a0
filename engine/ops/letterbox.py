"""Letterbox images for a model: scaled to fit, centred on grey, RGB in 0–1; and map boxes back into the image."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

GREY = (114, 114, 114, 114)  # OpenCV repeats four values over the channels of an image

SCALE = np.float32(1 / 255)


@dataclass(frozen=True)
class Letterbox:
    """Locate an image on its canvas.

    Attributes:
        height, width: of the image in its own pixels.
        scale_x, scale_y: canvas pixels for one of the image; they differ by the rounding to whole pixels.
        left, top: pixels of grey before it.
    """

    height: int
    width: int
    scale_x: float
    scale_y: float
    left: int
    top: int

    def boxes_to_image(self, boxes: np.ndarray, size: tuple[int, int] | None = None) -> np.ndarray:
        """Map corners from the canvas to the image, and clip them at its border.

        Args:
            boxes: (n, 4) in pixels of the canvas.
            size: (height, width) of the image as its file has it, where it was decoded at a part of it.

        Returns:
            (n, 4) in pixels of the image, or of the file's.
        """
        height, width = size or (self.height, self.width)
        grey = np.array([self.left, self.top] * 2, np.float32)
        scale = np.array([self.scale_x * (self.width / width), self.scale_y * (self.height / height)] * 2, np.float32)
        return ((boxes - grey) / scale).clip(0, np.array([width, height] * 2, np.float32))


def canvas_size(images: Sequence[np.ndarray], size: tuple[int, int], stride: int, tight: bool) -> tuple[int, int]:
    """Return height and width of the canvas for a batch.

    Args:
        images: (h, w, c) each.
        size: height and width at most.
        stride: of the model; the canvas is a multiple of it.
        tight: leave out grey that no image needs, where all images have one shape.
    """
    if not tight or len({image.shape for image in images}) > 1:
        return size
    height, width = _inside(images[0], size)
    return -(-height // stride) * stride, -(-width // stride) * stride


def _inside(image: np.ndarray, size: tuple[int, int]) -> tuple[int, int]:
    """Return the height and width that an image has when it just fits."""
    height, width = image.shape[:2]
    scale = min(size[0] / height, size[1] / width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def letterbox(
    images: Sequence[np.ndarray], size: tuple[int, int], as_bytes: bool = False
) -> tuple[np.ndarray, list[Letterbox]]:
    """Letterbox images onto canvases of one size.

    Args:
        images: (h, w, c) uint8 each, colour as BGR.
        size: height and width of the canvas.
        as_bytes: leave the numbers as they are; a quarter of the memory to move to a GPU.

    Returns:
        (B, c, H, W), colour as RGB, float32 in 0–1 or uint8 in 0–255, and where each image lies.
    """
    colour = images[0].ndim == 3 and images[0].shape[2] == 3
    batch = np.empty((len(images), 3, *size), np.uint8 if as_bytes else np.float32) if colour else None
    canvases, letterboxes = [], []
    for number, image in enumerate(images):
        own_height, own_width = image.shape[:2]
        height, width = _inside(image, size)
        if (own_height, own_width) != (height, width):
            image = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
        top, left = (size[0] - height) // 2, (size[1] - width) // 2
        letterboxes.append(Letterbox(own_height, own_width, width / own_width, height / own_height, left, top))
        if batch is not None:
            _write_planes(image, batch[number], top, left)
            continue
        if (height, width) != size:
            border = (top, size[0] - height - top, left, size[1] - width - left)
            image = cv2.copyMakeBorder(image, *border, cv2.BORDER_CONSTANT, value=GREY)
        canvases.append(image if image.ndim == 3 else image[..., None])
    return _stacked(canvases, as_bytes) if batch is None else batch, letterboxes


def _write_planes(image: np.ndarray, canvas: np.ndarray, top: int, left: int) -> None:
    """Write an image (h, w, 3) BGR into a canvas (3, H, W) RGB, grey around it; numbers in 0–1 if it holds floats."""
    height, width = image.shape[:2]
    scale = SCALE if canvas.dtype == np.float32 else None
    grey = GREY[0] if scale is None else GREY[0] * scale
    canvas[:, :top], canvas[:, top + height :] = grey, grey
    canvas[:, :, :left], canvas[:, :, left + width :] = grey, grey
    inside = canvas[:, top : top + height, left : left + width]
    for plane, target in zip(reversed(cv2.split(image)), inside, strict=True):
        if scale is None:
            target[:] = plane
        else:
            np.multiply(plane, scale, out=target)  # as cv2.dnn.blobFromImages gives it, in an eighth of the time


def _stacked(canvases: Sequence[np.ndarray], as_bytes: bool) -> np.ndarray:
    """Return canvases (H, W, c) of other channels than colour as (B, c, H, W), channels in their order."""
    batch = np.ascontiguousarray(np.stack(canvases).transpose(0, 3, 1, 2))
    return batch if as_bytes else batch.astype(np.float32) / 255
