"""Tensors of one layer under two spellings."""

from types import SimpleNamespace

import pytest

from models.weights.transfer.converted import computes_otherwise, reversed_axis
from models.weights.transfer.pair_tensors import pair_left_overs


def test_by_order_shape_and_last_name() -> None:
    old = {"fc.0.weight": (4, 64, 1, 1), "fc.2.weight": (64, 4, 1, 1)}
    assert pair_left_overs(old, {"fc1.weight": (4, 64), "fc2.weight": (64, 4)}) == {
        "fc1.weight": "fc.0.weight",
        "fc2.weight": "fc.2.weight",
    }


def test_modules_in_another_order_go_by_their_tensors() -> None:
    """EMA of the forks declares its norm first; by tensor names alone its biases would be mixed up."""
    old = {"gn.weight": (8,), "gn.bias": (8,), "conv1x1.weight": (8, 8, 1, 1), "conv1x1.bias": (8,)}
    new = {"strips.weight": (8, 8, 1), "strips.bias": (8,), "norm.weight": (8,), "norm.bias": (8,)}
    assert pair_left_overs(old, new) == {
        "strips.weight": "conv1x1.weight",
        "strips.bias": "conv1x1.bias",
        "norm.weight": "gn.weight",
        "norm.bias": "gn.bias",
    }


def test_parameters_without_a_module_go_by_order() -> None:
    old = {"cweight": (1, 4, 1, 1), "cbias": (1, 4, 1, 1), "gn.weight": (4,)}
    new = {"channel_weight": (4,), "channel_bias": (4,), "norm_weight": (4,)}
    assert list(pair_left_overs(old, new).values()) == ["cweight", "cbias", "gn.weight"]


@pytest.mark.parametrize(
    "old",
    [
        {"a.weight": (4, 8)},
        {"a.weight": (4, 8), "b.weight": (8, 5)},
        {"a.weight": (4, 8), "b.running_mean": (8, 4)},
        {"a.weight": (4, 8), "b.weight": (8, 4), "c.weight": (1,)},
    ],
)
def test_nothing_is_taken_of_another_structure(old: dict[str, tuple[int, ...]]) -> None:
    assert pair_left_overs(old, {"x.weight": (4, 8), "y.weight": (8, 4)}) == {}


@pytest.mark.parametrize(
    ("source", "axis"),
    [(["channel_attention.f1.weight", "spatial_attention.conv.weight"], 1), (["mlp.0.weight", "conv.weight"], None)],
)
def test_cbam_is_turned_where_the_mean_comes_first(source: list[str], axis: int | None) -> None:
    layer = SimpleNamespace(attention=SimpleNamespace(module="CBAM", kwargs={}), inside=())
    tensors = ["fc1.weight", "fc2.weight", "spatial.conv.weight"]
    assert reversed_axis(layer, "spatial.conv.weight", tensors, source) == axis
    assert reversed_axis(layer, "fc1.weight", tensors, source) is None
    assert reversed_axis(layer, "spatial.conv.weight", [*tensors, "spatial.bn.weight"], source) is None


def test_gam_that_computes_otherwise_is_left() -> None:
    plain = SimpleNamespace(attention=SimpleNamespace(module="GAM", kwargs={}), inside=())
    grouped = SimpleNamespace(attention=SimpleNamespace(module="GAM", kwargs={"groups": 4}), inside=())
    assert not computes_otherwise(plain, ["channel_attention.0.weight", "spatial_attention.0.weight"])
    assert computes_otherwise(grouped, ["channel_attention.0.weight", "spatial_attention.0.weight"])
    assert computes_otherwise(plain, ["linear1.weight", "conv1.weight"])


def test_gam_in_the_forks_form_is_taken() -> None:
    forks = SimpleNamespace(attention=SimpleNamespace(module="GAM", kwargs={"groups": 4, "gate_shuffle": 4}), inside=())
    border = SimpleNamespace(attention=SimpleNamespace(module="GAM", kwargs={"border": "replicate"}), inside=())
    assert not computes_otherwise(forks, ["channel_attention.0.weight", "spatial_attention.0.weight"])
    assert not computes_otherwise(border, ["linear1.weight", "conv1.weight"])
    assert computes_otherwise(border, ["channel_attention.0.weight", "spatial_attention.0.weight"])
