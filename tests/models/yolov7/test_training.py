"""The ready overlays train an epoch from pretrained or fresh weights, and become deploy forms."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from models import load_model, reparameterize

pytestmark = pytest.mark.slow

SIZE = 64
OVERLAYS = ["yolov7-tiny-sk", "yolov7-tiny-cbam-identity", "yolov7-cbam", "yolov7-gam", "yolov7-se-elan"]


def run(root: Path, folder: Path, *words: Any) -> str:
    """Run an entry script and return what it says."""
    done = subprocess.run(
        [sys.executable, str(root / words[0]), *map(str, words[1:])],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve images with a bright or a dark square each."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for number in range(12):
        split = "train" if number < 8 else "val"
        for kind in ("images", "labels"):
            (folder / kind / split).mkdir(parents=True, exist_ok=True)
        image = rng.integers(90, 140, (SIZE, SIZE), np.uint8)
        x, y = rng.integers(0, SIZE - 24, 2)
        image[y : y + 24, x : x + 24] = 255 * (number % 2)
        cv2.imwrite(str(folder / "images" / split / f"{number}.png"), image)
        row = f"{number % 2} {(x + 12) / SIZE} {(y + 12) / SIZE} {24 / SIZE} {24 / SIZE}\n"
        (folder / "labels" / split / f"{number}.txt").write_text(row)
    (folder / "data.yaml").write_text("train: images/train\nval: images/val\nnames: [dark, bright]\n")
    return folder


@pytest.mark.parametrize(
    ("cfg", "hyp"), [*((name, "v7-tiny" if "tiny" in name else "v7-p5") for name in OVERLAYS), ("yolov7-w6", "v7-p6")]
)
def test_an_epoch(cfg: str, hyp: str, root: Path, data: Path, shared: Path, tmp_path: Path) -> None:
    pretrained = shared / "parity" / "ckpt" / "yolov7-tiny.pt" if "tiny" in cfg else ""
    # GAM's 7 × 7 convolutions need maps of 3 × 3 at least: where the padding exceeds the map, PyTorch's bfloat16
    # gradient of weights on CPUs is left uninitialised.
    side = SIZE * (2 if cfg in {"yolov7-w6", "yolov7-gam"} else 1)
    words = ["--data", data / "data.yaml", "--cfg", cfg, "--weights", pretrained, "--hyp", hyp, "--imgsz", side]
    words += ["--epochs", 1, "--batch", 4, "--noplots", "--workers", 0, "--project", "runs", "--name", "one"]
    run(root, tmp_path, "train.py", *words)
    last = tmp_path / "runs" / "one" / "weights" / "last.pt"
    trained = load_model(last)
    assert trained.names == {0: "dark", 1: "bright"}
    assert trained.hyp["loss_ota"] == 1
    assert reparameterize(trained).agreement.holds
    said = run(root, tmp_path, "export.py", "--weights", last, "--reparameterize", "--imgsz", side)
    assert "largest differences" in said
    run(
        root,
        tmp_path,
        "val.py",
        "--weights",
        last.with_name("last-deploy.pt"),
        "--data",
        data / "data.yaml",
        "--imgsz",
        side,
    )
