"""What is said before a training: attention that changes a pretrained detector, loggers that are missing."""

import pytest

from engine.training.start_notes import changing_attention, identity_warning, missing_loggers
from models import build_model


@pytest.fixture(scope="module")
def weights(root):
    return root / "weights" / "yolov5n-digits.pt"


def test_new_attention_that_is_no_identity_is_named_with_its_place(weights):
    model = build_model("yolov5n", nc=10, attention=["CBAM@17,20", "SE@inside:9", "SimAM@4"], weights=weights)
    assert changing_attention(model) == [
        "SimAM after layer 4",
        "CBAM after layer 17",
        "CBAM after layer 20",
        "SE inside layer 9",
    ]
    assert "to keep it as it is and let training decide, add --identity" in identity_warning(model)


@pytest.mark.parametrize("attention", [["CBAM@17{identity: true}"], ["DANet@9"], []])
def test_what_starts_as_the_identity_is_no_reason_to_warn(weights, attention):
    assert identity_warning(build_model("yolov5n", nc=10, attention=attention, weights=weights)) == ""


def test_from_scratch_nothing_is_lost():
    assert identity_warning(build_model("yolov5n", nc=10, attention=["CBAM@17"])) == ""


def test_loggers_that_cannot_log_are_said(monkeypatch):
    monkeypatch.setenv("YOLO_ATTENTION_LOGGERS", "comet, wandbb")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert missing_loggers() == [
        "YOLO_ATTENTION_LOGGERS: comet is not installed, nothing goes there: pip install comet_ml",
        "YOLO_ATTENTION_LOGGERS: there is no logger wandbb; there are clearml, comet, dvc, mlflow, raytune, wandb",
    ]
    monkeypatch.setenv("YOLO_ATTENTION_LOGGERS", "")
    assert missing_loggers() == []
