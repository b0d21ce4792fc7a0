"""A data set that trains in seconds."""

import pytest

from tests.square_images import SIDE, write_squares


@pytest.fixture
def data(tmp_path):
    """12 + 4 images with a bright square."""
    return write_squares(tmp_path / "data", train=12, val=4)


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
