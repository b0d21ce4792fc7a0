"""Grey and four-channel 16-bit digits: trained from colour weights, measured, exported and detected."""

import csv
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from data import load_dataset
from engine.cli.detect_flags import detect_parser
from engine.detection.run import run_detection
from engine.errors import UsageError
from engine.export.run import export_model
from engine.training.run import train
from engine.validation.run import validate

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def write_set(folder: Path, channels: int) -> Path:
    """Write digits in grey, or in colour with inverted grey as fourth channel, 16 bits each."""
    for split, count in {"train": 240, "val": 60}.items():
        images, labels = folder / "images" / split, folder / "labels" / split
        images.mkdir(parents=True)
        labels.mkdir(parents=True)
        for record in load_dataset("digits", split=split)[split].records[:count]:
            image = cv2.imread(str(record.path))
            grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
            if channels == 1:
                cv2.imwrite(str(images / f"{record.path.stem}.png"), grey)
            else:
                four = np.dstack([image, 255 - grey]).astype(np.uint16) * 257
                cv2.imwrite(str(images / f"{record.path.stem}.tiff"), four)
            label = Path(str(record.path).replace("/images/", "/labels/")).with_suffix(".txt")
            shutil.copy(label, labels)
    cv2.imwrite(str(folder / "images" / "train" / "odd.png"), np.zeros((32, 32, 3), np.uint8))  # four: left out
    path = folder / "data.yaml"
    names = ", ".join(f"'{number}'" for number in range(10))
    path.write_text(f"train: images/train\nval: images/val\nchannels: {channels}\nnames: [{names}]\n")
    return path


@pytest.mark.parametrize("channels", [1, 4])
def test_from_colour_weights_to_boxes(tmp_path: Path, root: Path, channels: int) -> None:
    data = write_set(tmp_path / "data", channels)
    flags = {"imgsz": 160, "hyp": "digits-finetune", "noplots": True, "device": "cpu", "project": str(tmp_path)}
    trainer = train(weights=str(root / "weights" / "yolov5n-digits.pt"), data=str(data), epochs=3, **flags)
    quiet = {"noplots": True, "project": str(tmp_path), "device": "cpu"}
    measured = validate(trainer.best, data, **quiet)["coco"]
    (exported,) = export_model(trainer.best, include=["onnx"], dynamic=True)
    of_file = validate(exported, data, **quiet)["coco"]
    assert measured["AP50"] >= 0.5
    assert of_file["AP50"] == pytest.approx(measured["AP50"], abs=0.005)
    run = tmp_path / "found"
    arguments = ["--weights", str(exported), "--source", str(tmp_path / "data" / "images" / "val"), "--save-csv"]
    run_detection(detect_parser().parse_args([*arguments, "--project", str(tmp_path), "--name", run.name]))
    with (run / "predictions.csv").open() as file:
        images = {row["Image Name"] for row in csv.DictReader(file)}
    assert len(images) > 55
    assert len(list(run.glob("*.png" if channels == 1 else "*.jpg"))) == 60
    with pytest.raises(UsageError, match=f"takes images of {channels} channels, those of --data have 3"):
        validate(trainer.best, "digits", **quiet)
