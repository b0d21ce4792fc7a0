"""Draw a sheet of sample images with their labels: the quickest way to see that labels mean what one thinks."""

import math
from pathlib import Path

import cv2
import numpy as np

from data.errors import DataError
from data.image_files import image_channels, image_io
from data.records import Dataset, Record
from data.text_drawing import font_for, showable, write_text

_CELL = 480  # pixels, side of one image on the sheet


def write_overlay(dataset: Dataset, file: Path, count: int = 16, seed: int = 0) -> int:
    """Draw a random sample of the images that have objects.

    Args:
        dataset: the images.
        file: image to write; its suffix says the format.
        count: how many to draw.
        seed: which.

    Returns:
        The number drawn.

    Raises:
        DataError: if there is nothing to draw or the file cannot be written.
    """
    pool = [record for record in dataset if len(record)]
    if not pool:
        raise DataError(f"{dataset.name}: has no images with objects to draw")
    picks = np.random.default_rng(seed).permutation(len(pool))[:count]
    cells = [draw(pool[pick], dataset.names, channels=dataset.channels) for pick in sorted(picks.tolist())]
    columns = math.ceil(math.sqrt(len(cells)))
    blank = np.full_like(cells[0], 255)
    cells += [blank] * (-len(cells) % columns)
    sheet = np.vstack([np.hstack(cells[start : start + columns]) for start in range(0, len(cells), columns)])
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        image_io.write(file, sheet)
    except OSError:
        raise DataError(f"{file}: cannot be written as an image; use a name that ends in .jpg or .png") from None
    return len(picks)


def draw(record: Record, names: dict[int, str], side: int = _CELL, channels: int = 3) -> np.ndarray:
    """Draw one image with its boxes, fitted into a square; difficult and crowd objects are marked.

    Shape:
        (side, side, 3) uint8 BGR.
    """
    canvas = np.full((side, side, 3), 114, dtype=np.uint8)
    image = image_channels.read(record.path, channels)
    if image is None:
        return canvas
    image = image_channels.displayable(image)
    scale = side / max(record.width, record.height)
    size = (max(1, round(record.width * scale)), max(1, round(record.height * scale)))
    font = font_for(names)
    canvas[: size[1], : size[0]] = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    for index, box in enumerate(record.boxes_xyxy * scale):
        cls = int(record.classes[index])
        colour = _colour(cls)
        x1, y1, x2, y2 = (round(value) for value in box.tolist())
        cv2.rectangle(canvas, (x1, y1), (max(x1, x2 - 1), max(y1, y2 - 1)), colour, 1)
        mark = " crowd" if record.crowd[index] else " difficult" if record.difficult[index] else ""
        label = showable(names[cls], font) + mark
        for shade, thickness in (((0, 0, 0), 3), (colour, 1)):  # black behind, so that it stands out on any image
            write_text(canvas, label, font, x1 + 1, max(9, y1 - 2), 0.4, shade, thickness)
    return canvas


def _colour(cls: int) -> tuple[int, int, int]:
    """Return a strong colour for each class; neighbours differ by the golden angle."""
    hue = np.array([[[int(cls * 111.25) % 180, 230, 255]]], dtype=np.uint8)
    blue, green, red = cv2.cvtColor(hue, cv2.COLOR_HSV2BGR)[0, 0].tolist()
    return blue, green, red
