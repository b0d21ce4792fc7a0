"""Validation of large images window by window: metrics see whole images."""

import json

import numpy as np
import pytest

from benchmarks.mosaics import write_mosaics
from data import load_dataset
from engine.validation import validator
from engine.validation.run import validate


@pytest.fixture(scope="module")
def mosaics(tmp_path_factory):
    """Two images of 2 x 3 digits images each, and how many digits there are."""
    dataset = load_dataset("digits", split="test")
    records = dataset["test"].records
    images = [records[:6], records[6:12]]
    folder = tmp_path_factory.mktemp("mosaics")
    return write_mosaics(folder / "data", {"val": images}, 3, (320, 320), dataset.names), sum(map(len, records[:12]))


def measured(mosaics, root, tmp_path, **options):
    weights = root / "weights" / "yolov5n-digits.pt"
    return validate(weights, str(mosaics[0]), project=str(tmp_path), noplots=True, imgsz=320, **options)


def test_small_objects_are_measured_in_windows(mosaics, root, tmp_path):
    plain = measured(mosaics, root, tmp_path, batch_size=2)
    sliced = measured(mosaics, root, tmp_path, batch_size=5, slice=320, save_json=True, save_txt=True)
    assert sliced["coco"]["AP50"] > plain["coco"]["AP50"] + 0.2
    assert sliced["coco"]["AP50"] > 0.9
    boxes = json.loads((tmp_path / "exp2" / "predictions.json").read_text())
    assert {box["image_id"] for box in boxes} == {0, 1}
    corners = np.array([box["bbox"] for box in boxes])
    assert (corners[:, :2] + corners[:, 2:]).max(0).tolist() == pytest.approx([960, 640], abs=40)
    labels = sorted((tmp_path / "exp2" / "labels").glob("*.txt"))
    assert [path.name for path in labels] == ["0.txt", "1.txt"]


def test_the_truth_is_that_of_whole_images(mosaics, root, tmp_path, monkeypatch):
    seen = []
    inputs = validator.Validator.report_inputs
    monkeypatch.setattr(
        validator.Validator, "report_inputs", lambda self: seen.append((self.seen, *inputs(self))) or inputs(self)
    )
    measured(mosaics, root, tmp_path, batch_size=4, slice=300, slice_overlap=0.1)
    images, truths, _ = seen[0]
    assert images == 2
    assert len(truths.image) == mosaics[1]


def test_an_image_of_one_window_is_measured_as_without_slices(root, tmp_path):
    weights = root / "weights" / "yolov5n-digits.pt"
    flags = {"noplots": True, "imgsz": 320, "task": "test", "batch_size": 8, "project": str(tmp_path)}
    few = load_dataset("digits", split="test")
    folder = tmp_path / "few"
    yaml = write_mosaics(folder, {"test": [[record] for record in few["test"].records[:8]]}, 1, (320, 320), few.names)
    plain, sliced = validate(weights, str(yaml), **flags), validate(weights, str(yaml), slice=640, **flags)
    assert sliced["coco"] == plain["coco"]
