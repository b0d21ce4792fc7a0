"""A copy of the checkout with what a user would bring, in which the documents' commands are run."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np

from tests.documents import ROOT, blocks

PARTS = (
    "attention",
    "cfg",
    "data",
    "engine",
    "metrics",
    "models",
    "study",
    "weights",
    "examples",
    "docs/images",
    "requirements.txt",
)


def reference_data() -> Path:
    """Return the folder of real data and weights, which may be missing."""
    return Path(os.environ.get("YOLO_ATTENTION_SHARED", ROOT.parent / "shared"))


def copy_checkout(folder: Path) -> None:
    """Copy the checkout to a new folder, with data, a video and official weights of the user's beside the scripts."""
    for name in PARTS:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif (ROOT / name).exists():
            shutil.copy(ROOT / name, folder / name)
    for script in ROOT.glob("*.py"):
        shutil.copy(script, folder / script.name)
    if reference_data().exists():
        (folder.parent / "shared").symlink_to(reference_data().resolve())
    _bring_data(folder)
    _bring_video(folder / "my-video.mp4")
    _bring_weights(folder / "yolov5n.pt")


def _bring_data(folder: Path) -> None:
    rng = np.random.default_rng(0)
    for split, count in (("train", 8), ("val", 4)):
        images, labels = folder / "my-data" / "images" / split, folder / "my-data" / "labels" / split
        images.mkdir(parents=True)
        labels.mkdir(parents=True)
        for i in range(count):
            image = rng.integers(0, 90, (96, 128, 3), dtype=np.uint8)
            kind = i % 2
            cv2.rectangle(image, (40, 30), (80, 66), (250, 80, 40) if kind else (40, 200, 250), -1)
            cv2.imwrite(str(images / f"{i}.jpg"), image)
            (labels / f"{i}.txt").write_text(f"{kind} 0.46875 0.5 0.3125 0.375\n")


def _bring_video(path: Path) -> None:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10, (128, 96))
    for i in range(5):
        writer.write(np.full((96, 128, 3), 40 * i, np.uint8))
    writer.release()


def _bring_weights(path: Path) -> None:
    """Official weights where the reference data has them, else a checkpoint of ours under that name."""
    official = reference_data() / "weights" / "yolov5n.pt"
    if official.exists():
        shutil.copy(official, path)
    else:
        write_untrained(path, "yolov5n")


def write_untrained(path: Path, name: str) -> None:
    """Write a checkpoint of a model as it is constructed."""
    from models import build_model
    from models.weights.checkpoint import save_checkpoint

    model = build_model(name)
    content = {
        "spec": model.spec.yaml,
        "names": model.names,
        "stride": model.stride.tolist(),
        "weights": model.state_dict(),
        "hyp": model.hyp,
        "provenance": {},
    }
    save_checkpoint(path, content)


def run(argv: list[str], folder: Path, codes: tuple[int, ...] = (0,), **variables: str) -> str:
    """Run a command in the copied checkout with this interpreter.

    Args:
        argv: its words.
        folder: the copy.
        codes: exit codes that are right.
        variables: of the environment, beside this process's.

    Returns:
        What it wrote.

    Raises:
        AssertionError: if it ends with another exit code.
    """
    python = argv[0].endswith("python") or argv[0].endswith("python3")
    done = subprocess.run(
        [sys.executable, *argv[1:]] if python else argv,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": "", "YOLO_ATTENTION_CACHE": str(folder / ".cache"), **variables},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode in codes, f"{shlex.join(argv)}\n{(done.stdout + done.stderr)[-3000:]}"
    return done.stdout + done.stderr


def run_programs(page: str, folder: Path) -> None:
    """Run a page's Python programs in the copied checkout, but those that need a package which is missing here.

    Raises:
        AssertionError: if the page has none, or one fails.
    """
    found = [text for language, text in blocks(page) if language == "python"]
    assert found
    for text in found:
        needs = re.match(r"# needs (\w+)\n", text)
        if needs is None or find_spec(needs[1]) is not None:
            run(["python", "-c", text], folder)
