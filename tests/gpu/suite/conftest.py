"""A data set that trains in seconds."""

import cv2
import numpy as np
import pytest
import yaml

SIDE = 64


@pytest.fixture
def data(tmp_path):
    """12 + 4 images with a bright square."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 12), ("val", 4)):
        for kind in ("images", "labels"):
            (tmp_path / "data" / kind / split).mkdir(parents=True)
        for number in range(count):
            image = rng.integers(0, 50, (SIDE, SIDE, 3), np.uint8)
            x, y = rng.integers(0, 40, 2)
            image[y : y + 24, x : x + 24] = 220
            cv2.imwrite(str(tmp_path / "data" / "images" / split / f"{number}.png"), image)
            row = f"0 {(x + 12) / SIDE} {(y + 12) / SIDE} 0.375 0.375\n"
            (tmp_path / "data" / "labels" / split / f"{number}.txt").write_text(row)
    path = tmp_path / "data" / "data.yaml"
    path.write_text(yaml.safe_dump({"train": "images/train", "val": "images/val", "names": ["square"]}))
    return path


@pytest.fixture
def options(data, tmp_path):
    """Options of a training of one epoch with attention."""
    return {
        "data": str(data),
        "cfg": "yolov5n",
        "attention": ["CBAM@neck.P3"],
        "weights": "",
        "imgsz": SIDE,
        "batch_size": 4,
        "epochs": 1,
        "workers": 0,
        "noplots": True,
        "device": "0",
        "project": str(tmp_path / "runs"),
        "noautoanchor": True,
    }
