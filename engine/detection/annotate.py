"""Draw boxes and labels on an image, without torch, which takes seconds to load (ultralytics' drawing needs it)."""

from pathlib import Path

import cv2
import numpy as np

from data.text_drawing import font_for, showable, text_size, write_text
from engine.detection.result import FrameDetections

# Distinct, none too light for a white text: BGR.
COLOURS = (
    (56, 56, 255), (31, 112, 255), (29, 178, 255), (49, 150, 20), (52, 147, 26), (147, 69, 52), (168, 153, 44),
    (255, 149, 0), (236, 24, 0), (255, 56, 132), (133, 0, 82), (134, 134, 0), (199, 55, 255), (120, 50, 190),
)  # fmt: skip
WHITE = (255, 255, 255)


def draw(detections: FrameDetections, thickness: int = 3, labels: bool = True, scores: bool = True) -> np.ndarray:
    """Draw detections on their image.

    Args:
        detections: the image and its boxes; the image is not changed.
        thickness: of the lines in pixels.
        labels: write class names.
        scores: write confidences beside them.

    Returns:
        (h, w, 3) uint8 BGR.
    """
    image = np.ascontiguousarray(detections.image).copy()
    font = font_for(detections.names) if labels else None
    ids = detections.ids if detections.ids is not None else [0] * len(detections)
    for box, score, number, track in reversed(
        list(zip(detections.boxes, detections.scores, detections.classes, ids, strict=True))
    ):
        colour = COLOURS[int(number) % len(COLOURS)]
        left, top, right, bottom = (round(float(value)) for value in box)
        cv2.rectangle(image, (left, top), (right, bottom), colour, thickness, cv2.LINE_AA)
        if labels:
            name = showable(detections.name(number), font)
            name = f"{name} #{track}" if track > 0 else name
            text = f"{name} {score:.2f}" if scores else name
            label(image, text, font, (left, top), colour, thickness / 4, max(1, thickness - 2))
    return image


def label(
    image: np.ndarray,
    text: str,
    font: Path | None,
    corner: tuple[int, int],
    colour: tuple[int, int, int],
    size: float,
    weight: int = 1,
) -> None:
    """Write a text on its own ground above a corner, below it where there is no room above.

    Args:
        image: (h, w, 3) uint8 BGR, to write into.
        text: as `data.text_drawing.showable` returns it.
        font: for texts beyond ASCII.
        corner: x and y in pixels.
        colour: of the ground, BGR.
        size: of OpenCV's font.
        weight: of its strokes in pixels.
    """
    left, top = corner
    width, height, base = text_size(text, font, size, weight)
    left = max(0, min(left, image.shape[1] - width))
    bottom = top if top - height - base >= 0 else top + height + base
    cv2.rectangle(image, (left, bottom - height - base), (left + width, bottom), colour, cv2.FILLED)
    write_text(image, text, font, left, bottom - base // 2 - 1, size, WHITE, weight)
