"""The line that describes a model."""

import pytest

from engine.modelinfo import gflops, model_line
from models import build_model


def test_size_and_strides_of_yolov5n():
    line = model_line(build_model("yolov5n"), 640)
    # Parameters and GFLOPs as published with YOLOv5: 1,872,157 and 4.6 with normalisation.
    assert "1,872,157 parameters" in line
    assert line.endswith("4.5 GFLOPs at 640 px, strides 8/16/32")


def test_flops_grow_with_the_area():
    model = build_model("yolov5n")
    assert gflops(model, 320) == pytest.approx(gflops(model, 640) / 4, rel=1e-6)
