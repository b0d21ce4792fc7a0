"""`make demo`, as far as it goes once the environment is there."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

ROOT = Path(__file__).resolve().parents[3]

pytestmark = pytest.mark.slow


def test_demo_trains_measures_and_detects(tmp_path: Path) -> None:
    argv = [sys.executable, str(ROOT / "examples" / "demo.py"), "--epochs", "1", "--out", str(tmp_path)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    assert "starts as the identity" in done.stdout
    report = json.loads((tmp_path / "val" / "metrics.json").read_text())
    assert report["coco"]["AP50"] >= 0.90
    assert (tmp_path / "train" / "results.png").stat().st_size > 10_000
    assert cv2.imread(str(tmp_path / "image" / "0000.jpg")) is not None
    video = cv2.VideoCapture(str(tmp_path / "video" / "digits.mp4"))
    original = cv2.VideoCapture(str(tmp_path / "digits.mp4"))
    for quantity in (cv2.CAP_PROP_FRAME_COUNT, cv2.CAP_PROP_FPS, cv2.CAP_PROP_FRAME_WIDTH):
        assert video.get(quantity) == original.get(quantity)
