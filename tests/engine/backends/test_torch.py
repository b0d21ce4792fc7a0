"""PyTorch as a backend: several images while maps are drawn, and rows filtered before they come back."""

from argparse import Namespace

import numpy as np
import pytest
import torch

from engine.backends.torch import TorchBackend
from engine.cli.detect_flags import detect_parser
from engine.detection.predictor import Predictor
from engine.inspection.observer import MapObserver
from engine.ops.nms_numpy import filter_by_confidence
from models import build_model


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 255, (3, 64, 64, 3), np.uint8)


@pytest.mark.filterwarnings("ignore")
def test_maps_of_several_images(images, tmp_path):
    options = detect_parser().parse_args(["--imgsz", "64", "--maps", "features", "--backend", "torch"])
    options.device = "cpu"
    finder = Predictor(options, build_model("yolov5n", nc=2).eval())
    finder.open(list(images))
    finder.observer = MapObserver(build_model("yolov5n", nc=2), torch.device("cpu"), tmp_path, options)
    plain = Predictor(Namespace(**{**vars(options), "maps": []}), build_model("yolov5n", nc=2).eval())
    plain.open(list(images))
    for mine, expected in zip(finder.detections(), plain.detections(), strict=True):
        np.testing.assert_array_equal(mine.boxes, expected.boxes)
    assert list(tmp_path.rglob("*.*"))


def test_rows_filtered_by_the_model_are_those_filtered_here(images):
    backend = TorchBackend(build_model("yolov5n", nc=2), "cpu")
    planes = np.ascontiguousarray(images[..., ::-1].transpose(0, 3, 1, 2))
    output = backend(planes.astype(np.float32) / 255)
    conf_thres = float(np.median(output[:, 4:].max(1)))
    filtered = backend.call_filtered(planes, conf_thres)
    expected = filter_by_confidence(output, conf_thres)
    assert len(filtered) == 3
    for mine, theirs in zip(filtered, expected, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-4)
    assert [len(rows) for rows in backend.call_filtered(planes, 1.0)] == [0, 0, 0]


def test_other_devices_have_their_names(monkeypatch):
    monkeypatch.setattr("engine.backends.torch.select_device", lambda *args, **kwargs: torch.device("meta"))
    assert TorchBackend(build_model("yolov5n", nc=2), "mps").label.endswith("on meta")
