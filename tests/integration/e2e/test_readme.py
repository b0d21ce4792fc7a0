"""Every command of the README and the documentation is run, as written, in a copy of the checkout."""

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
import pytest

from data.digits import ensure

ROOT = Path(__file__).resolve().parents[3]
# README.zh-CN.md has the same commands, which a test of its own checks.
PYTHON_PAGES = ("README.md", "README.zh-CN.md", "docs/python.md", "docs/tools.md")
PAGES = ("README.md", "docs/detection.md", "docs/data.md", "docs/metrics.md")
# Their commands train for long; here it is checked that the scripts understand them and that the files named exist.
LONG_PAGES = (
    "docs/placement.md",
    "docs/results.md",
    "docs/yolov7.md",
    "docs/study.md",
    "docs/training.md",
    "docs/start.md",
    "docs/own-data.md",
    "docs/choose.md",
    "docs/distributed.md",
    "docs/paper.md",
    "weights/README.md",
)
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
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
# Set up the environment, which CI does before any test runs; the demo, which test_demo.py runs; and labels from a
# model of the reader's, which tests/data/merge and tests/engine/detection/test_dataset_writer.py make and join.
ELSEWHERE = (
    "python3 -m venv",
    ".venv/bin/python -m pip",
    "make ",
    ".venv/bin/python examples/demo.py",
    "python detect.py --weights best.pt --source more-images",
    "python -m data.merge",
    "python train.py --weights best.pt --data joined",
)

pytestmark = pytest.mark.slow


def blocks(page: str) -> list[tuple[str, str]]:
    """Return (language, text) of the page's code blocks."""
    path = ROOT / page
    return BLOCK.findall(path.read_text(encoding="utf-8")) if path.exists() else []


def commands(page: str) -> list[str]:
    """Return the shell commands of a page."""
    lines = [line for language, text in blocks(page) if language in ("", "sh", "bash") for line in text.splitlines()]
    shell = [line.split("  #")[0].strip() for line in lines]
    return [line for line in shell if "python" in line.split(" ")[0] and not line.startswith(ELSEWHERE)]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout with what a user would bring: data, a video, official weights."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in PARTS:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif (ROOT / name).exists():
            shutil.copy(ROOT / name, folder / name)
    for script in ROOT.glob("*.py"):
        shutil.copy(script, folder / script.name)
    reference = Path(os.environ.get("YOLO_ATTENTION_SHARED", ROOT.parent / "shared"))
    if reference.exists():
        (folder.parent / "shared").symlink_to(reference.resolve())
    _bring_data(folder)
    _bring_video(folder / "my-video.mp4")
    _bring_weights(folder / "yolov5n.pt")
    ensure(folder / "datasets" / "digits")
    for page in PAGES:
        for language, text in blocks(page):
            name = re.match(r"#\s*([\w-]+\.(?:yaml|py))\b", text)
            if language in ("yaml", "python") and name:
                (folder / name[1]).write_text(text, encoding="utf-8")
    return folder


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
    shared = Path(os.environ.get("YOLO_ATTENTION_SHARED", ROOT.parent / "shared")) / "weights" / "yolov5n.pt"
    if shared.exists():
        shutil.copy(shared, path)
        return
    from models import build_model
    from models.weights.checkpoint import save_checkpoint

    model = build_model("yolov5n")
    content = {
        "spec": model.spec.yaml,
        "names": model.names,
        "stride": model.stride.tolist(),
        "weights": model.state_dict(),
        "hyp": model.hyp,
        "provenance": {},
    }
    save_checkpoint(path, content)


def run(argv: list[str], folder: Path) -> None:
    """Run a command in the copied checkout with this interpreter."""
    python = argv[0].endswith("python") or argv[0].endswith("python3")
    env = {**os.environ, "PYTHONPATH": "", "YOLO_ATTENTION_CACHE": str(folder / ".cache")}
    done = subprocess.run(
        [sys.executable, *argv[1:]] if python else argv,
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, f"{shlex.join(argv)}\n{(done.stdout + done.stderr)[-3000:]}"


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("page", PAGES)
def test_commands_run_as_written(page: str, checkout: Path) -> None:
    for command in commands(page):
        if "bccd" not in command or (checkout.parent / "shared").exists():
            run(shlex.split(command), checkout)


@pytest.mark.parametrize("page", LONG_PAGES)
def test_long_commands_are_understood(page: str) -> None:
    from data import read_config
    from engine.cli import main
    from engine.training import hyperparameters
    from models import read_spec

    found = commands(page)
    assert found
    for command in found:
        script, *argv = shlex.split(command)[1:]
        if script not in ("train.py", "val.py", "detect.py", "export.py", "study.py"):
            continue
        if script == "study.py":
            assert (ROOT / next(word for word in argv if word.endswith(".yaml"))).is_file()
            continue
        options = vars(main.make_parser(script.removesuffix(".py")).parse_args(argv))
        if (ROOT / str(options.get("cfg"))).is_file():
            read_spec(ROOT / options["cfg"])
        if options.get("hyp"):
            hyperparameters.find(options["hyp"])
        if (ROOT / str(options.get("data"))).is_file():
            read_config(ROOT / options["data"])


@pytest.mark.parametrize("page", PYTHON_PAGES)
def test_python_examples_run(page: str, checkout: Path) -> None:
    found = [text for language, text in blocks(page) if language == "python"]
    assert found
    for text in found:
        needs = re.match(r"# needs (\w+)\n", text)
        if needs is None or find_spec(needs[1]) is not None:
            run(["python", "-c", text], checkout)


def test_both_readmes_show_the_same_commands() -> None:
    assert commands("README.md") == commands("README.zh-CN.md")
    assert commands("README.md")
