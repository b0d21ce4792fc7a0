"""detect.py, val.py, export.py and engine.detect() take the image size from the checkpoint; training rounds it once."""

import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from engine.cli.run_folder import DIGITS_WEIGHTS
from models import load_model
from models.weights.checkpoint import read_checkpoint, save_checkpoint

pytestmark = pytest.mark.slow  # like its neighbours, which `make test` runs by themselves
SOURCE = np.zeros((240, 320, 3), np.uint8)


def run(root: Path, *argv: object) -> str:
    done = subprocess.run([sys.executable, *map(str, argv)], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """One image of 320×240."""
    path = tmp_path / "a.png"
    assert cv2.imwrite(str(path), SOURCE)
    return path


def stored_as(tmp_path: Path, size: object) -> Path:
    content = read_checkpoint(DIGITS_WEIGHTS)
    content["provenance"].pop("imgsz")
    if size is not None:
        content["provenance"]["imgsz"] = size
    path = tmp_path / "weights.pt"
    save_checkpoint(path, content)
    return path


@pytest.mark.parametrize(("stored", "expected"), [(320, 320), (160, 160), (None, None), ("large", None), (10**9, None)])
def test_what_a_checkpoint_says(tmp_path: Path, stored: object, expected: int | None) -> None:
    assert load_model(stored_as(tmp_path, stored)).trained_imgsz == expected


def test_detect_takes_the_size_of_the_checkpoint(root: Path, tmp_path: Path, image: Path) -> None:
    weights = stored_as(tmp_path, 160)
    argv = ["detect.py", "--weights", weights, "--source", image, "--device", "cpu", "--project", tmp_path]
    assert "image size: 160 px, as the checkpoint was trained" in run(root, *argv)
    assert "image size" not in run(root, *argv, "--img", "320")


def test_an_exported_file_remembers_the_size(root: Path, tmp_path: Path, image: Path) -> None:
    weights = stored_as(tmp_path, 160)
    assert "image size: 160 px" in run(root, "export.py", "--weights", weights, "--include", "onnx", "--dynamic")
    file = weights.with_suffix(".onnx")
    argv = ["--weights", file, "--device", "cpu", "--project", tmp_path]
    assert "image size: 160 px" in run(root, "detect.py", *argv, "--source", image)


@pytest.fixture
def data(tmp_path: Path, shared: Path) -> Path:
    """Images of 160×120 with labels, six to train on."""
    folder = shared / "reports" / "01-imgsz-not-multiple" / "data"
    if not folder.is_dir():
        pytest.skip(f"no {folder}")
    return Path(shutil.copytree(folder, tmp_path / "data"))


def test_training_rounds_the_size_once_and_val_remembers_it(root: Path, tmp_path: Path, data: Path) -> None:
    argv = ["train.py", "--data", data / "data.yaml", "--cfg", "yolov5n", "--weights", "", "--imgsz", 60]
    text = run(root, *argv, "--epochs", 1, "--noplots", "--device", "cpu", "--project", tmp_path, "--name", "run")
    assert "--imgsz 60: taken as 64, a multiple of 32" in text
    assert text.count("taken as") == 1
    assert "GFLOPs at 64 px" in text
    best = tmp_path / "run" / "weights" / "best.pt"
    assert read_checkpoint(best)["provenance"]["imgsz"] == 64
    argv = ["val.py", "--weights", best, "--data", data / "data.yaml", "--noplots", "--device", "cpu"]
    assert "image size: 64 px, as in training" in run(root, *argv, "--project", tmp_path)
