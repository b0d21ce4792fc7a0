"""Draw everything random of one training sample, before any pixel is touched."""

import math
from dataclasses import dataclass, fields
from typing import Any

import cv2
import numpy as np


@dataclass(frozen=True)
class Recipe:
    """Hold the strengths of YOLOv5's augmentation, under the names of its hyperparameter files.

    Attributes:
        mosaic, flipud, fliplr: probabilities.
        degrees, shear: largest angle in degrees, either way.
        translate: largest shift, part of the image, either way.
        scale: largest change of zoom, either way.
        perspective: largest entry of the last row of the transformation.
        hsv_h, hsv_s, hsv_v: largest change of hue, saturation and brightness, as parts.
    """

    mosaic: float
    degrees: float
    translate: float
    scale: float
    shear: float
    perspective: float
    flipud: float
    fliplr: float
    hsv_h: float
    hsv_s: float
    hsv_v: float

    @classmethod
    def read(cls, hyp: Any) -> "Recipe":
        """Return the recipe in a namespace of hyperparameters."""
        return cls(**{field.name: float(getattr(hyp, field.name)) for field in fields(cls)})


@dataclass(frozen=True)
class Draws:
    """Hold the random numbers of one sample; what is not used for it is drawn all the same.

    Attributes:
        combined: whether four images are combined.
        centre: (x, y) of the mosaic's centre, parts of the range in which it may lie.
        partners: positions of the other images in the data set.
        tilt: (x, y) entries of the transformation's last row.
        angle: of rotation, degrees.
        zoom: factor of size.
        shear: (x, y), degrees.
        shift: (x, y) where the source's centre goes, parts of the output.
        colour: (hue, saturation, brightness) changes, as parts; 0 changes nothing.
        upside_down, mirrored: whether the output is turned over.
    """

    combined: bool
    centre: tuple[float, float]
    partners: tuple[int, ...]
    tilt: tuple[float, float]
    angle: float
    zoom: float
    shear: tuple[float, float]
    shift: tuple[float, float]
    colour: tuple[float, float, float]
    upside_down: bool
    mirrored: bool


def draw(recipe: Recipe, seed: tuple[int, ...], count: int, shares: np.ndarray | None = None) -> Draws:
    """Draw one sample's random numbers.

    Args:
        recipe: how strong everything is.
        seed: what the sample is identified by; the same numbers give the same draws.
        count: images in the data set.
        shares: (count,) running sums, ending in 1, of how often each image is drawn as a partner; None draws all alike.
    """
    numbers = np.random.default_rng(seed).random(19)
    unit = numbers.tolist()
    either = (2 * numbers - 1).tolist()
    partners = (numbers[3:6] * count).astype(int) if shares is None else np.searchsorted(shares, numbers[3:6], "right")
    return Draws(
        combined=unit[0] < recipe.mosaic,
        centre=(unit[1], unit[2]),
        partners=tuple(np.minimum(partners, count - 1).tolist()),
        tilt=(either[6] * recipe.perspective, either[7] * recipe.perspective),
        angle=either[8] * recipe.degrees,
        zoom=1 + either[9] * recipe.scale,
        shear=(either[10] * recipe.shear, either[11] * recipe.shear),
        shift=(0.5 + either[12] * recipe.translate, 0.5 + either[13] * recipe.translate),
        colour=(either[14] * recipe.hsv_h, either[15] * recipe.hsv_s, either[16] * recipe.hsv_v),
        upside_down=unit[17] < recipe.flipud,
        mirrored=unit[18] < recipe.fliplr,
    )


def transformation(draws: Draws, canvas: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """Return the matrix (3, 3) that takes points of the canvas to the output, before it is turned over.

    Args:
        draws: of the sample.
        canvas: (width, height) of the source, or of the mosaic.
        size: (width, height) of the output.

    Source:
        YOLOv5 v7.0, augmentations.random_perspective: centre, perspective, rotation and zoom, shear, shift.
    """
    middle, target = (canvas[0] / 2, canvas[1] / 2), (draws.shift[0] * size[0], draws.shift[1] * size[1])
    if not (draws.angle or any(draws.shear) or any(draws.tilt)):  # the same, sooner
        zoom = draws.zoom
        return np.array(
            [[zoom, 0, target[0] - zoom * middle[0]], [0, zoom, target[1] - zoom * middle[1]], [0, 0, 1.0]]
        )
    centre, tilt, turn, shear, shift = (np.eye(3) for _ in range(5))
    centre[:2, 2] = -middle[0], -middle[1]
    tilt[2, :2] = draws.tilt
    turn[:2] = cv2.getRotationMatrix2D((0, 0), draws.angle, draws.zoom)
    shear[0, 1], shear[1, 0] = (math.tan(math.radians(angle)) for angle in draws.shear)
    shift[:2, 2] = target
    return shift @ shear @ turn @ tilt @ centre
