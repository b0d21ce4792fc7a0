"""Every command and program of the documents runs in a copy of the checkout; what trains for long is shortened.

The Chinese pages have the same commands (tests/test_translations.py), and test_readme.py runs the README's and four
pages' without shortening.
"""

import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from data.digits import ensure
from tests.documents import ROOT, commands, snippet
from tests.integration.checkout import copy_checkout, reference_data, run, run_programs, write_untrained
from tests.models.forks import pickles

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]

# What is not run here, by how the command begins, and why.
NOT_RUN = {
    "python3 -m venv": "the environment is there",
    "source ": "the environment is there",
    "python -m pip": "tests/test_install.py reads these lines; nothing is installed by a test",
    ".venv/bin/python -m pip": "as above",
    "docker ": "no Docker where tests run",
    "mlflow ui": "another program, which shows what tests/engine/training/test_loggers.py reads back",
    "python app.py": "tests/playground opens the page",
    "torchrun --nnodes 2": "needs two machines",
    "torchrun --nproc-per-node 4": "the rest of the command is left to the reader",
    "make ": "what CI starts",
}
RUN_ELSEWHERE = {"README.md", "README.zh-CN.md", "CONTRIBUTING.md", "docs/detection.md", "docs/metrics.md"}
WITHOUT_COMMANDS = {"docs/install.md", "docs/deploy.md", "docs/playground.md", "docs/yaml.md"}
PAGES = sorted(
    page
    for page in [f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")] + ["weights/README.md"]
    if not page.endswith(".zh.md") and commands(page) and page not in RUN_ELSEWHERE | WITHOUT_COMMANDS
)
STUDY = {
    "weights": "yolov5n.pt",
    "identity": True,
    "seeds": [0],
    "budget": {"epochs": 1},
    "train": {"imgsz": 64},
    "latency": 1,
    "resamples": 10,
    "images": 1,
}
SCAN = {
    "images": 8,
    "steps": 2,
    "latency": 1,
    "mechanisms": ["SE"],
    "places": ["neck.P3", "neck.P4", "neck.P5", "4", "6", "8"],  # --confirm 3 takes half of the candidates
}


def shortened(argv: list[str]) -> list[str]:
    """Let a training take one epoch of small images, one that goes on with a longer plan two more; keep the rest."""
    if "train.py" not in argv:
        return argv
    short = list(argv)
    resumes = "--resume" in short
    for flags, value in ((("--epochs",), "8" if resumes else "1"), (("--img", "--imgsz"), "64")):
        given = next((flag for flag in flags if flag in short), None)
        if given:
            short[short.index(given) + 1] = value
        elif not resumes:
            short += [flags[0], value]
    return short if resumes else [*short, "--noplots"]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of the checkout with small data, and with the files of the user's that the pages speak of."""
    folder = tmp_path_factory.mktemp("documents")
    copy_checkout(folder)
    ensure(folder / "datasets" / "digits")
    for split in ("train", "val", "test"):
        for image in sorted((folder / "datasets/digits/images" / split).iterdir())[16:]:
            image.unlink()
    data = folder / "my-data"
    shutil.copytree(data / "images/val", data / "images/test")
    shutil.copytree(data / "labels/val", data / "labels/test")
    (folder / "my-data.yaml").write_text(snippet("docs/own-data.md", "my-data.yaml"), encoding="utf-8")
    for page, name in (("docs/placement.md", "my_attention.py"), ("docs/extending.md", "my_plugin.py")):
        (folder / name).write_text(snippet(page, name), encoding="utf-8")
    for name in ("my-images", "more-images", "images"):
        shutil.copytree(data / "images/val", folder / name)
    shutil.copy(data / "images/val/0.jpg", folder / "image.jpg")
    for kind in ("images", "labels"):
        shutil.copytree(data / kind / "val", folder / "datasets/coco128" / kind / "train2017")
    small = {**yaml.safe_load((folder / "cfg/study/digits-quick.yaml").read_text()), **STUDY}
    small |= {"weights": "../../weights/yolov5n-digits.pt", "variants": {"se": "SE@neck.P3"}, "controls": []}
    (folder / "cfg/study/digits-quick.yaml").write_text(yaml.safe_dump(small))
    scan = {**yaml.safe_load((folder / "cfg/scan/digits.yaml").read_text()), **SCAN}
    scan |= {"train": {"imgsz": 64}, "confirm": {"epochs": 1, "seeds": 1}}
    (folder / "cfg/scan/digits.yaml").write_text(yaml.safe_dump(scan))
    mine = {"data": "my-data.yaml", "variants": {"mine": "MyAttention@neck.P3"}, **STUDY}
    (folder / "my-study.yaml").write_text(yaml.safe_dump(mine))
    _train(folder)
    return folder


def _train(folder: Path) -> None:
    """Train the checkpoints that pages call best.pt, baseline.pt and with-cbam.pt, and the run exp."""
    start = "python train.py --weights yolov5n.pt --data my-data.yaml --noplots --img 64"
    run(shlex.split(f"{start} --epochs 1 --name my-run"), folder)
    run(shlex.split(f"{start} --epochs 1 --name cbam --attention CBAM@neck.P3 --identity"), folder)
    for name in ("best.pt", "baseline.pt"):
        shutil.copy(folder / "runs/train/my-run/weights/best.pt", folder / name)
    shutil.copy(folder / "runs/train/cbam/weights/best.pt", folder / "with-cbam.pt")
    shutil.copytree(folder / "runs/train/my-run", folder / "runs/train/exp")


def _end_in_the_middle(folder: Path) -> None:
    """Leave the run exp as one that was ended after an epoch."""
    shutil.rmtree(folder / "runs/train/exp", ignore_errors=True)
    argv = [sys.executable, "train.py", "--weights", "yolov5n.pt", "--data", "my-data.yaml", "--noplots", "--img", "64"]
    running = subprocess.Popen([*argv, "--epochs", "6", "--name", "exp"], cwd=folder, stderr=subprocess.DEVNULL)
    table = folder / "runs/train/exp/results.csv"
    while running.poll() is None and not (table.exists() and len(table.read_text().splitlines()) > 1):
        time.sleep(0.02)
    running.send_signal(signal.SIGTERM)
    assert running.wait(120) == 130, "the run was over before it could be ended"


def _prepare(command: str, folder: Path) -> None:
    """Bring what a command needs that the page takes for given."""
    if "train.py --resume" in command and "--epochs" not in command:
        _end_in_the_middle(folder)
    if "their/" in command and not (folder / "their").exists():
        (folder / "their").mkdir()
        content = pickles.reference("coordatt")
        pickles.write(content, folder / "their/best.pt")
        (folder / "their/yolov5s-ca.yaml").write_text(yaml.safe_dump(content["yaml"]))
    if "models.adopt" in command:
        for name in ("mine.yaml", "mine.pt"):
            (folder / name).unlink(missing_ok=True)
    if "models.lint mine.yaml" in command:  # a row inserted by hand, and no number shifted
        content = yaml.safe_load((ROOT / "cfg/yolov5/yolov5.yaml").read_text(encoding="utf-8"))
        content["backbone"].append([-1, 1, "CBAM", [1024]])
        (folder / "mine.yaml").write_text(yaml.safe_dump({**content, "scale": "s"}))
    _prepare_runs(command, folder)


def _prepare_runs(command: str, folder: Path) -> None:
    """Bring studies, and models of YOLOv7, that a command goes on from."""
    if "runs/study/my-study" in command and not (folder / "runs/study/my-study/report.md").exists():
        run(shlex.split("python study.py my-study.yaml --plugin my_plugin.py"), folder)
    if "--report" in command:
        run(shlex.split(command.replace(" --report", "")), folder)
    for name in ("yolov7", "yolov7-tiny"):
        if f"{name}.pt" in command and not (folder / f"{name}.pt").exists():
            write_untrained(folder / f"{name}.pt", name)
    if "--reparameterize" in command:
        run(shlex.split("python train.py --cfg yolov7-tiny --data my-data.yaml --epochs 1 --img 64 --noplots"), folder)
        newest = max((folder / "runs/train").iterdir(), key=lambda path: path.stat().st_mtime)
        shutil.rmtree(folder / "runs/train/exp", ignore_errors=True)
        newest.rename(folder / "runs/train/exp")


def _bus() -> Path:
    """Return the photograph that comes with ultralytics."""
    import ultralytics

    return Path(ultralytics.__path__[0]) / "assets" / "bus.jpg"


def _argv(command: str) -> tuple[list[str], dict[str, str]]:
    """Return a command's words, ready to run here, and the variables that it sets."""
    words = shlex.split(command.replace(" BUS ", f" {_bus()} "))
    variables = {}
    while re.match(r"[A-Z_]+=", words[0]):
        name, variables[name] = words[0].split("=", 1)
        words = words[1:]
    if words[0] == "torchrun":
        words = ["python", "-m", "torch.distributed.run", "--standalone", *words[1:], "--device", "cpu"]
    return shortened(words), variables


@pytest.mark.parametrize("page", PAGES)
def test_commands_of_a_page_run(page, checkout):
    for command in commands(page):
        if command.startswith(tuple(NOT_RUN)) or ("bccd" in command and not reference_data().exists()):
            continue
        needs = {"cam": "pytorch_grad_cam", "ray": "ray", "mlflow": "mlflow", "huggingface": "safetensors"}
        if any(word in command and find_spec(module) is None for word, module in needs.items()):
            continue
        _prepare(command, checkout)
        argv, variables = _argv(command)
        run(argv, checkout, (0, 1) if "models.lint" in command else (0,), **variables)


def test_every_page_with_commands_is_here_or_has_a_reason():
    with_commands = {f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md") if commands(f"docs/{p.name}")}
    english = {page for page in with_commands if not page.endswith(".zh.md")}
    assert english == {*PAGES} - {"weights/README.md"} | (english & (RUN_ELSEWHERE | WITHOUT_COMMANDS))
    for page in WITHOUT_COMMANDS - {"docs/yaml.md"}:  # whose command shows what it prints; tests/models/lint runs it
        others = [line for line in commands(page) if not line.startswith((*NOT_RUN, "py -m venv", ".venv"))]
        assert others in ([], ["python examples/demo.py"]), page  # the demo is run by test_demo.py


@pytest.mark.parametrize(
    "page", ["docs/inspection.md", "docs/inspection.zh.md", "docs/tools.zh.md", "docs/python.zh.md"]
)
def test_programs_of_a_page_run(page, checkout):
    run_programs(page, checkout)
