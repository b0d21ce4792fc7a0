"""A few images with digits that a training reads in a second."""

from pathlib import Path

import cv2
import numpy as np

from data.digits import make_image


def small_data(folder: Path, images: int = 16, size: int = 96) -> Path:
    """Write images with digits, their labels, and the YAML of both; return the YAML.

    Args:
        folder: to write into.
        images: how many.
        size: pixels of a side.
    """
    for name in ("images", "labels"):
        (folder / name).mkdir(exist_ok=True)
    for number in range(images):
        image, classes, boxes = make_image("train", np.random.default_rng(number))
        cv2.imwrite(str(folder / "images" / f"{number}.jpg"), cv2.resize(image, (size, size)))
        centers, sizes = (boxes[:, :2] + boxes[:, 2:]) / 640, (boxes[:, 2:] - boxes[:, :2]) / 320
        rows = zip(classes, centers, sizes, strict=True)
        text = "\n".join(f"{int(c)} {' '.join(f'{float(v):.5f}' for v in (*xy, *wh))}" for c, xy, wh in rows)
        (folder / "labels" / f"{number}.txt").write_text(text)
    (folder / "small.yaml").write_text(f"train: images\nval: images\nnames: {[str(n) for n in range(10)]}\n")
    return folder / "small.yaml"
