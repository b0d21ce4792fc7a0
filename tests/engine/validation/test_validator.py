"""The validator's own drawings: labels that can be read, and one confusion matrix."""

import json
import re
import time
from types import SimpleNamespace

import torch

from engine.validation.run import validate
from engine.validation.validator import FITNESS, Validator
from models.upstream.validation import DetectionValidator
from tests.digit_images import write_digits


def _drawn_labels(monkeypatch, tmp_path, names):
    labels = []
    monkeypatch.setattr(
        "ultralytics.utils.plotting.Annotator.box_label", lambda self, box, label="", **options: labels.append(label)
    )
    validator = object.__new__(Validator)
    validator.names, validator.save_dir, validator.plots = names, tmp_path, {}
    validator.args = type("Args", (), {"max_det": 300})()

    class Future:
        def result(self):
            box = torch.tensor([[4.0, 4.0, 20.0, 20.0]])
            return [
                {"bboxes": box, "conf": torch.tensor([0.6]), "cls": torch.tensor([7.0]), "extra": torch.zeros(1, 0)}
            ]

    batch = {"img": torch.zeros(1, 3, 32, 32), "im_file": ["a.jpg"], "batch_idx": torch.zeros(1)}
    validator.plot_predictions(batch, Future(), 0)
    deadline = time.monotonic() + 30
    while not (tmp_path / "val_batch0_pred.jpg").is_file() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert validator.names is names
    return labels


def test_a_space_parts_class_and_confidence(monkeypatch, tmp_path):
    assert _drawn_labels(monkeypatch, tmp_path, {number: str(number) for number in range(10)}) == ["7 0.6"]


def test_the_drawn_matrix_is_that_of_metrics_json(monkeypatch, tmp_path, root):
    drawn = {}
    monkeypatch.setattr(
        "metrics.confusion_plot.plot_confusion",
        lambda matrix, names, path, confidence, **options: drawn.setdefault(path.name, (matrix, confidence)),
    )
    data = write_digits(tmp_path / "data", train=2, val=6)
    text = data.read_text().replace("[zero, one]", str([str(number) for number in range(10)]))
    data.write_text(text)
    weights = root / "weights" / "yolov5n-digits.pt"
    validate(weights, str(data), imgsz=64, project=str(tmp_path / "runs"), batch_size=6)
    stored = json.loads((tmp_path / "runs" / "exp" / "metrics.json").read_text())["confusion"]
    assert set(drawn) == {"confusion_matrix.png", "confusion_matrix_normalized.png"}
    for matrix, confidence in drawn.values():
        assert matrix.tolist() == stored["predicted_by_true"]
        assert confidence == stored["confidence"] == 0.25


def test_an_image_that_is_listed_twice_counts_like_a_copy_of_it(tmp_path, root):
    data = write_digits(tmp_path / "data", train=1, val=6)
    data.write_text(data.read_text().replace("[zero, one]", str([str(number) for number in range(10)])))
    images = sorted((tmp_path / "data" / "images" / "val").iterdir())
    copies = []
    for image in images:
        copies.append(image.with_stem(f"copy{image.stem}"))
        label = tmp_path / "data" / "labels" / "val" / f"{image.stem}.txt"
        copies[-1].write_bytes(image.read_bytes())
        label.with_stem(copies[-1].stem).write_bytes(label.read_bytes())
    measured = []
    for name, others in (("twice", images), ("copied", copies)):
        (tmp_path / "data" / f"{name}.txt").write_text("".join(f"{image}\n" for image in (*images, *others)))
        data.write_text(re.sub(r"val: .*", f"val: {name}.txt", data.read_text()))
        weights = root / "weights" / "yolov5n-digits.pt"
        options = {"imgsz": 64, "project": str(tmp_path / "runs"), "batch_size": 4, "noplots": True}
        measured.append(validate(weights, str(data), **options))
    assert measured[0]["images"] == 12
    assert measured[0]["coco"] == measured[1]["coco"]
    assert measured[0]["confusion"] == measured[1]["confusion"]
    assert measured[0]["coco"]["AP50"] > 0.1


def test_a_class_that_begins_with_an_underscore_is_in_the_legends(monkeypatch):
    """Matplotlib leaves such labels out."""
    drawn = []

    def get_stats(self):
        drawn.append(self.metrics.names)
        return dict.fromkeys(FITNESS, 0.5)

    monkeypatch.setattr(DetectionValidator, "get_stats", get_stats)
    validator = object.__new__(Validator)
    names = {0: "_background_", 1: "cat"}
    validator.metrics = SimpleNamespace(names=names)
    assert validator.get_stats()["fitness"] == 0.5
    assert drawn == [{0: " _background_", 1: "cat"}]
    assert validator.metrics.names is names
