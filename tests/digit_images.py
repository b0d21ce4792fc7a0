"""A data set small enough to train on many times."""

import cv2
import numpy as np
from sklearn.datasets import load_digits

SIZE, SCALE = 64, 3  # pixels of an image, and of a digit's pixel


def write_digits(folder, **counts):
    """Write images with a handwritten 0 or 1 each, in YOLO layout, so many a split; return the data set's YAML."""
    digits = load_digits(n_class=2)
    rng = np.random.default_rng(0)
    number = 0
    for split, count in counts.items():
        for kind in ("images", "labels"):
            (folder / kind / split).mkdir(parents=True)
        for _ in range(count):
            glyph = np.kron(digits.images[number] * 15, np.ones((SCALE, SCALE))).astype(np.uint8)
            image = rng.integers(0, 60, (SIZE, SIZE), np.uint8)
            x, y = rng.integers(0, SIZE - 8 * SCALE, 2)
            image[y : y + 8 * SCALE, x : x + 8 * SCALE] |= glyph
            cv2.imwrite(str(folder / "images" / split / f"{number:03}.png"), image)
            box = [(x + 4 * SCALE) / SIZE, (y + 4 * SCALE) / SIZE, 8 * SCALE / SIZE, 8 * SCALE / SIZE]
            row = " ".join(f"{value:.6f}" for value in box)
            (folder / "labels" / split / f"{number:03}.txt").write_text(f"{digits.target[number]} {row}\n")
            number += 1
    path = folder / "data.yaml"
    path.write_text("".join(f"{split}: images/{split}\n" for split in counts) + "names: [zero, one]\n")
    return path
