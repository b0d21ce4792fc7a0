"""The line that describes a model."""

from engine.training.model_summary import model_line, training_line
from models import build_model


def test_size_and_strides_of_yolov5n():
    line = model_line(build_model("yolov5n"), 640)
    # Parameters and GFLOPs as published with YOLOv5: 1,872,157 and 4.6 with normalisation.
    assert "1,872,157 parameters" in line
    assert line.endswith("4.5 GFLOPs at 640 px, strides 8/16/32")


def test_what_trains_is_named():
    model = build_model("yolov5n", nc=3, attention=["SE@4", "SE@inside/last:6"])
    for name, parameter in model.named_parameters():
        parameter.requires_grad = "SE" in name or "attention" in name
    # SE of reduction 16 has two matrices and two biases: for 64 channels 2 · 64 · 4 + 4 + 64, for 128 twice as wide.
    count = 2 * 64 * 4 + 4 + 64 + 2 * 128 * 8 + 8 + 128
    line = training_line(model)
    assert line.startswith(f"{count:,} of ")
    assert line.endswith("parameters train, in layers 4+SE, 6.cv3.attention; the rest is frozen")
    for parameter in model.parameters():
        parameter.requires_grad = True
    assert "layers 0, 1, 2, 3, 4, 4+SE, 5, 6, 6.cv3.attention, 7, 8, 9 and 9 more;" in training_line(model)
