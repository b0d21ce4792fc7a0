"""A data set that trains in seconds: a bright square in every image."""

from pathlib import Path

import cv2
import numpy as np

SIDE, SQUARE = 64, 24  # pixels


def write_squares(folder: Path, **counts: int) -> Path:
    """Write noise with a bright square each, in YOLO layout, so many images a split; return the data set's YAML."""
    rng = np.random.default_rng(0)
    for split, count in counts.items():
        for kind in ("images", "labels"):
            (folder / kind / split).mkdir(parents=True)
        for number in range(count):
            image = rng.integers(0, 50, (SIDE, SIDE, 3), np.uint8)
            x, y = rng.integers(0, SIDE - SQUARE, 2)
            image[y : y + SQUARE, x : x + SQUARE] = 220
            cv2.imwrite(str(folder / "images" / split / f"{number}.png"), image)
            center_x, center_y, side = (x + SQUARE / 2) / SIDE, (y + SQUARE / 2) / SIDE, SQUARE / SIDE
            (folder / "labels" / split / f"{number}.txt").write_text(f"0 {center_x} {center_y} {side} {side}\n")
    path = folder / "data.yaml"
    path.write_text("".join(f"{split}: images/{split}\n" for split in counts) + "names: [square]\n")
    return path
