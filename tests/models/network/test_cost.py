"""What a detector costs: parameters and operations."""

import pytest

from models import build_model
from models.network.cost import count_parameters, gflops, parameters_by_layer


def test_flops_grow_with_the_area():
    model = build_model("yolov5n")
    assert gflops(model, 320) == pytest.approx(gflops(model, 640) / 4, rel=1e-6)


def test_layers_add_up_to_the_whole():
    model = build_model("yolov5n", nc=3, attention=["SE@4"])
    layers = parameters_by_layer(model)
    # SE of reduction 16 has two matrices and two biases
    assert layers["4+SE"] == count_parameters(model.get_submodule("model.4+SE")) == 2 * 64 * 4 + 4 + 64
    assert sum(layers.values()) == count_parameters(model)


def test_counting_leaves_the_mode_as_it_is():
    model = build_model("yolov5n").train()
    assert gflops(model, 64) > 0
    assert model.training
