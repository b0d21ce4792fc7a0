"""Render a sample: each source once, straight from its array into the output."""

import math
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from engine.datasets.augmentation.draws import Draws
from engine.datasets.augmentation.layout import Layout, Rectangle

BORDER = 114  # grey of what no source covers, as in YOLOv5
HUES = 180  # steps of the hue circle in which the recipe shifts it


class ColourChange:
    """Shift hue, and scale saturation and brightness, of 8-bit images.

    Args:
        change: (hue, saturation, brightness), as parts; 0 changes nothing.

    Source:
        YOLOv5 v7.0, augmentations.augment_hsv; ultralytics' RandomHSV, which adds to the hue instead of scaling it. Both
        round down; hue here has 256 steps instead of 180, so that it wraps by itself.
    """

    def __init__(self, change: tuple[float, float, float]) -> None:
        hue, saturation, brightness = change
        self.active = any(change)
        self.hue = round(math.floor(hue * HUES) * 256 / HUES) % 256 if hue else 0
        # rounded to nearest less a half: down
        self.scales = np.array(
            [[1, 0, 0, 0], [0, 1 + saturation, 0, -0.5], [0, 0, 1 + brightness, -0.5]], dtype=np.float32
        )
        self.scales[1:, 3] *= [saturation != 0, brightness != 0]
        self.border = min(int(BORDER * (1 + brightness)), 255)

    def write_rgb(self, image: np.ndarray, out: np.ndarray) -> None:
        """Change the colours of an image (h, w, 3) BGR, and write it as RGB into an array of the same shape."""
        if not self.active:
            cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=out)
            return
        hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV_FULL)
        if self.hue:
            flat = hsv.reshape(len(hsv), -1)
            np.add(flat, np.tile(np.array([self.hue, 0, 0], np.uint8), image.shape[1]), out=flat)  # wraps round
        cv2.cvtColor(cv2.transform(hsv, self.scales), cv2.COLOR_HSV2RGB_FULL, dst=out)


def render(draws: Draws, layout: Layout, images: Sequence[np.ndarray], out: np.ndarray) -> None:
    """Render a sample into an array.

    Args:
        draws: of the sample.
        layout: where its sources go.
        images: the sources, (h, w, 3) uint8 BGR.
        out: (height, width, 3) uint8, gets RGB.
    """
    colour = ColourChange(draws.colour)
    if not layout.resized:
        colour.write_rgb(_warped(draws, layout, images), out)
        return
    out.fill(colour.border)
    for tile, image in zip(layout.tiles, images, strict=True):
        if tile.sampled is not None and tile.target is not None:
            _resize_into(image, tile.sampled, tile.target, out, draws, colour)


def _resize_into(
    image: np.ndarray, sampled: Rectangle, target: Rectangle, out: np.ndarray, draws: Draws, colour: ColourChange
) -> None:
    """Resize a part of a source into a part of the output, turned over with it."""
    height, width = out.shape[:2]
    x1, y1, x2, y2 = target
    view = out[
        slice(height - y2, height - y1) if draws.upside_down else slice(y1, y2),
        slice(width - x2, width - x1) if draws.mirrored else slice(x1, x2),
    ]
    source = image[sampled.y1 : sampled.y2, sampled.x1 : sampled.x2]
    size = x2 - x1, y2 - y1
    code = int(draws.mirrored) if draws.mirrored != draws.upside_down else -1
    if source.size < view.size:  # colours of fewer pixels
        coloured = np.empty(source.shape, np.uint8)
        colour.write_rgb(source, coloured)
        source = cv2.flip(coloured, code) if draws.mirrored or draws.upside_down else coloured
        cv2.resize(source, size, dst=view, interpolation=cv2.INTER_LINEAR)
        return
    if size != source.shape[1::-1]:
        source = cv2.resize(source, size, interpolation=cv2.INTER_LINEAR)
    colour.write_rgb(cv2.flip(source, code) if draws.mirrored or draws.upside_down else source, view)


def _warped(draws: Draws, layout: Layout, images: Sequence[np.ndarray]) -> np.ndarray:
    """Return the output in BGR, with the sources warped one after the other, each into the box that holds it."""
    width, height = layout.size
    out = np.full((height, width, 3), BORDER, np.uint8)
    turned = np.diag([-1.0 if draws.mirrored else 1.0, -1.0 if draws.upside_down else 1.0, 1.0])
    turned[:2, 2] = width * draws.mirrored, height * draws.upside_down
    for tile, image in zip(layout.tiles, images, strict=True):
        x1, y1, x2, y2 = tile.crop
        matrix = turned @ tile.matrix
        box = _bounds(tile.crop, matrix, layout.size)
        if box is None or x1 >= x2 or y1 >= y2:
            continue
        # OpenCV counts from the centres of pixels, and from the corner of what it is given
        matrix = _shift(-box.x1 - 0.5, -box.y1 - 0.5) @ matrix @ _shift(x1 + 0.5, y1 + 0.5)
        view = out[box.y1 : box.y2, box.x1 : box.x2]
        size = box.x2 - box.x1, box.y2 - box.y1
        options: dict[str, Any] = {"dst": view, "flags": cv2.INTER_LINEAR, "borderMode": cv2.BORDER_TRANSPARENT}
        if matrix[2, 0] or matrix[2, 1]:
            cv2.warpPerspective(image[y1:y2, x1:x2], matrix, size, **options)
        else:
            cv2.warpAffine(image[y1:y2, x1:x2], matrix[:2], size, **options)
    return out


def _shift(x: float, y: float) -> np.ndarray:
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]])


def _bounds(crop: Rectangle, matrix: np.ndarray, size: tuple[int, int]) -> Rectangle | None:
    """Return the pixels of the output among which a transformed crop lies; None if it lies outside."""
    corners = np.array([[x, y, 1] for x in (crop.x1, crop.x2) for y in (crop.y1, crop.y2)]) @ matrix.T
    if corners[:, 2].min() <= 1e-6:  # the horizon runs through it
        return Rectangle(0, 0, *size)
    points = corners[:, :2] / corners[:, 2:]
    x1, y1 = np.maximum(np.floor(points.min(0)) - 1, 0)
    x2, y2 = np.minimum(np.ceil(points.max(0)) + 1, size)
    return Rectangle(int(x1), int(y1), int(x2), int(y2)) if x1 < x2 and y1 < y2 else None
