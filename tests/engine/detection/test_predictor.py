"""Several batches in the model at a time."""

import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from engine.cli.detect_flags import detect_parser
from engine.detection import predictor
from engine.detection.predictor import Predictor
from engine.errors import UsageError


class Slow:
    """A model that takes as long as its image says, and notes how many calls there are at a time."""

    label, names, stride, size, imgsz, batch, finished = "slow", {0: "thing"}, 32, None, 640, None, False

    def __init__(self, replicas):
        self.replicas, self.lock, self.now, self.most = replicas, threading.Lock(), 0, 0

    def __call__(self, images):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(float(images[0, 0, 0, 0]) / 10)
        with self.lock:
            self.now -= 1
        return np.array([[[16.0], [16.0], [8.0], [8.0], [0.9]]], np.float32)


@pytest.mark.parametrize("replicas", [1, 3])
def test_order_is_kept_and_all_replicas_are_used(replicas, monkeypatch):
    model = Slow(replicas)
    monkeypatch.setattr(predictor, "open_backend", lambda *args: model)
    draw = np.random.default_rng(0)
    images = [np.full((32, 32, 3), value, np.uint8) for value in draw.integers(0, 255, 12)]
    finder = Predictor(detect_parser().parse_args(["--imgsz", "32"]), None)
    finder.open(images)
    found = list(finder.detections())
    assert [int(one.image[0, 0, 0]) for one in found] == [int(image[0, 0, 0]) for image in images]
    assert model.most == replicas
    assert finder.watch.images["model"] == 12


def test_an_error_in_a_replica_is_raised_and_ends_all(monkeypatch):
    class Broken(Slow):
        def __call__(self, images):
            raise RuntimeError("out of memory")

    monkeypatch.setattr(predictor, "open_backend", lambda *args: Broken(2))
    finder = Predictor(detect_parser().parse_args(["--imgsz", "32"]), None)
    finder.open([np.zeros((32, 32, 3), np.uint8)] * 5)
    with pytest.raises(RuntimeError, match="out of memory"):
        list(finder.detections())


@pytest.mark.parametrize(
    ("count", "mode", "replicas"), [(1, "image", 1), (100, "image", 2), (None, "video", 2), (None, "stream", 1)]
)
def test_replicas_are_for_many_images(count, mode, replicas, monkeypatch):
    asked = []

    def opened(options, weights, images, replicas):
        asked.append(replicas)
        return Slow(replicas)

    source = SimpleNamespace(images=count, bs=1, mode=mode, expect=lambda channels: None)
    monkeypatch.setattr(predictor, "open_source", lambda *args: source)
    monkeypatch.setattr(predictor.environment, "threads", lambda: 2)
    monkeypatch.setattr(predictor, "open_backend", opened)
    Predictor(detect_parser().parse_args([]), None).open("anything")
    assert asked == [replicas]


def opened(monkeypatch, *flags):
    monkeypatch.setattr(predictor, "open_backend", lambda *args: Slow(1))
    finder = Predictor(detect_parser().parse_args(["--imgsz", "32", *flags]), None)
    finder.open([np.zeros((32, 32, 3), np.uint8)])
    return finder


def test_data_gives_the_names_of_the_classes(monkeypatch, tmp_path):
    path = tmp_path / "data.yaml"
    path.write_text("train: .\nval: .\nnames: [gadget]\n")
    assert opened(monkeypatch, "--data", str(path)).backend.names == {0: "gadget"}
    path.write_text("train: .\nval: .\nnames: [gadget, gizmo]\n")
    with pytest.raises(UsageError, match="has 2 classes, the model has 1"):
        opened(monkeypatch, "--data", str(path))


def test_a_model_on_a_gpu_gets_bytes_and_gives_back_the_rows_that_count(monkeypatch):
    class OnDevice(Slow):
        on_device = True

        def call_filtered(self, images, conf_thres):
            assert images.dtype == np.uint8
            assert conf_thres == 0.25
            return [np.array([[16.0, 16.0, 8.0, 8.0, value / 100]], np.float32) for value in images[:, 0, 0, 0]]

    monkeypatch.setattr(predictor, "open_backend", lambda *args: OnDevice(1))
    finder = Predictor(detect_parser().parse_args(["--imgsz", "32"]), None)
    finder.open([np.full((32, 32, 3), value, np.uint8) for value in (50, 90)])
    assert [float(one.scores[0]) for one in finder.detections()] == pytest.approx([0.5, 0.9])
