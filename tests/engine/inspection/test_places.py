"""Selectors of --layer and --class, and what is said about those that name nothing."""

import pytest

from engine.errors import UsageError
from engine.inspection.observer import class_numbers
from engine.inspection.places import attention_places, feature_layers
from models import build_model

ALL = [
    "SE after layer 4",
    "CBAM after layer 17",
    "ECA after layer 17",
    "CBAM after layer 20",
    "SE inside layer 9 (cv2)",
]


@pytest.fixture(scope="module")
def detector():
    return build_model("yolov5n", nc=2, attention=["CBAM@neck.P3,neck.P4", "SE@inside:9", "SE@between:4,16", "ECA@17"])


@pytest.mark.parametrize(
    ("selectors", "expected"),
    [
        ([], ALL),
        (["cbam"], ["CBAM after layer 17", "CBAM after layer 20"]),
        (["neck.P3"], ["CBAM after layer 17", "ECA after layer 17"]),
        (["17+ECA"], ["ECA after layer 17"]),
        (["9", "neck.P4"], ["SE inside layer 9 (cv2)", "CBAM after layer 20"]),
    ],
)
def test_attention_by_selector(detector, selectors, expected):
    assert sorted(str(place) for place in attention_places(detector, selectors)) == sorted(expected)


def test_the_formula_is_that_of_the_documentation(detector):
    assert attention_places(detector, ["SE"])[0].formula == "y = x ⊙ σ(W₂ δ(W₁ GAP(x) + b₁) + b₂)"


@pytest.mark.parametrize(
    ("selector", "text"),
    [
        ("2", "--layer 2: has no attention; there is SE after layer 4, CBAM after layer 17"),
        ("99", "--layer 99: there is no row 99; the base has rows 0 to 24; attention is SE after layer 4"),
        ("neck.P9", "there is no neck.P9; there are neck.P3 (row 17)"),
        ("GAM", "--layer GAM"),
    ],
)
def test_what_names_nothing_is_told_what_there_is(detector, selector, text):
    with pytest.raises(UsageError) as caught:
        attention_places(detector, [selector])
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_layers_are_those_that_the_head_reads_or_that_are_named(detector):
    assert [name for name, _ in feature_layers(detector)] == ["17+ECA", "20+CBAM", "23"]
    assert [name for name, _ in feature_layers(detector, ["neck.P3", "2", "SPPF"])] == ["17+ECA", "2", "9"]
    with pytest.raises(UsageError, match="is the head"):
        feature_layers(detector, ["24"])


def test_a_model_without_attention_has_no_gates():
    with pytest.raises(UsageError, match="the model has no attention"):
        attention_places(build_model("yolov5n", nc=2))


def test_classes_by_name_or_number():
    names = {0: "cat", 1: "dog", 2: "0"}
    assert class_numbers(names, []) is None
    assert class_numbers(names, ["dog", "0", "1"]) == [1, 2, 1]  # a name comes before a number
    with pytest.raises(UsageError, match="--class bird: the model has cat, dog, 0"):
        class_numbers(names, ["bird"])
