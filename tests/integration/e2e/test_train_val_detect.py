"""A whole run on real digits: train with attention, be killed, continue, validate, detect."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from tests.digit_images import SIZE, write_digits

pytestmark = pytest.mark.slow

EPOCHS = 3


def run(root, *argv, cwd, ok=0, **extra):
    done = subprocess.run(
        [sys.executable, str(root / argv[0]), *map(str, argv[1:])],
        cwd=cwd,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | extra,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == ok, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """24 + 8 + 8 images with a handwritten 0 or 1 each, in YOLO layout."""
    return write_digits(tmp_path_factory.mktemp("data"), train=24, val=8, test=8).parent


@pytest.fixture(scope="module")
def flags(data):
    return [
        *("train.py", "--data", data / "data.yaml", "--cfg", "yolov5n", "--weights", "", "--imgsz", SIZE),
        *("--epochs", EPOCHS, "--batch", 8, "--attention", "CBAM@neck.P3", "--identity", "--noplots", "--workers", 0),
        *("--project", "runs"),
    ]


@pytest.fixture(scope="module")
def whole(root, flags, tmp_path_factory):
    """The undisturbed run."""
    home = tmp_path_factory.mktemp("home")
    text = run(root, *flags, "--name", "whole", cwd=home)
    return home / "runs" / "whole", text


def leaves(value, path=""):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, f"{path}/{key}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from leaves(inner, f"{path}/{number}")
    else:
        yield path, value


def test_a_run_leaves_what_it_should(whole, data):
    folder, text = whole
    assert "yolov5n" in text
    assert "strides 8/16/32" in text
    assert "box_loss" in text
    assert len((folder / "results.csv").read_text().splitlines()) == EPOCHS + 1
    assert {path.name for path in (folder / "weights").iterdir()} == {"best.pt", "last.pt"}
    assert (folder / "opt.yaml").is_file()
    assert (folder / "hyp.yaml").is_file()
    assert not list(data.rglob("*.cache"))
    assert not list(data.rglob("*.npy"))


def test_weights_open_without_our_code(whole, tmp_path):
    code = (
        "import sys, torch; c = torch.load(sys.argv[1], weights_only=True)\n"
        "print(c['format'], c['names'], sorted(k for k in c if k == 'training'))"
    )
    best, last = (whole[0] / "weights" / f"{name}.pt" for name in ("best", "last"))
    for path, training in ((best, []), (last, ["training"])):
        command = [sys.executable, "-I", "-c", code, str(path)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True)
        assert done.stdout.strip() == f"yolo-attention/1 {{0: 'zero', 1: 'one'}} {training}"


def test_a_killed_run_goes_on_as_if_nothing_had_happened(root, whole, flags):
    home = whole[0].parents[1]
    command = [sys.executable, str(root / flags[0]), *map(str, flags[1:]), "--name", "cut"]
    last = home / "runs" / "cut" / "weights" / "last.pt"
    with subprocess.Popen(
        command, cwd=home, stdout=subprocess.DEVNULL, env=os.environ | {"OMP_NUM_THREADS": "1"}
    ) as first:
        until = time.monotonic() + 600
        while not last.exists() and time.monotonic() < until:
            time.sleep(0.02)
        first.send_signal(signal.SIGKILL)
    assert last.exists()
    run(root, "train.py", "--resume", last, cwd=home)
    for name in ("last", "best"):
        one, two = (
            dict(leaves(torch.load(home / "runs" / run_name / "weights" / f"{name}.pt", weights_only=True)))
            for run_name in ("whole", "cut")
        )
        assert one.keys() == two.keys()
        tensors = [key for key, value in one.items() if isinstance(value, torch.Tensor)]
        assert tensors
        assert [key for key in tensors if not torch.equal(one[key], two[key])] == []
    tables = [(home / "runs" / name / "results.csv").read_text().splitlines() for name in ("whole", "cut")]
    without_time = [[[*row.split(",")[:1], *row.split(",")[2:]] for row in table] for table in tables]
    assert without_time[0] == without_time[1]
    text = run(root, "train.py", "--resume", last, cwd=home, ok=2)
    assert "the run is finished" in text


def test_changed_data_are_noticed(root, whole, data, flags, tmp_path):
    home = whole[0].parents[1]
    content = torch.load(whole[0] / "weights" / "last.pt", weights_only=True)
    content["training"]["epoch"], content["training"]["stopped"] = 0, False
    content["training"]["fingerprints"]["train"] = "0" * 64
    torch.save(content, tmp_path / "last.pt")
    text = run(root, "train.py", "--resume", tmp_path / "last.pt", cwd=home, ok=2)
    assert "changed since this run began: train (" in text


def test_validation_writes_all_numbers(root, whole, data):
    home = whole[0].parents[1]
    argv = ["--weights", whole[0] / "weights" / "best.pt", "--data", data / "data.yaml", "--imgsz", SIZE]
    argv += ["--task", "test", "--save-json", "--voc07", "--per-class"]
    found = []
    for evaluator in ("table", "pycocotools"):
        text = run(root, "val.py", *argv, "--evaluator", evaluator, "--name", evaluator, cwd=home)
        folder = home / "runs" / "val" / evaluator
        assert "8 images, 8 objects" in text
        assert "VOC07" in text
        assert (folder / "errors.png").is_file()
        assert isinstance(json.loads((folder / "predictions.json").read_text()), list)
        found.append(json.loads((folder / "metrics.json").read_text()))
    assert {"AP", "AP50", "APs", "APm", "APl"} <= set(found[0]["coco"])
    per_class = [report["coco"].pop("per_class") for report in found]
    assert found[0]["coco"] == pytest.approx(found[1]["coco"], abs=1e-12)
    assert per_class[0]["one"] == pytest.approx(per_class[1]["one"], abs=1e-12)


def test_detection_from_the_shell_and_from_python(root, whole, data):
    home = whole[0].parents[1]
    best, images = whole[0] / "weights" / "best.pt", data / "images" / "test"
    argv = ["--weights", best, "--source", images, "--imgsz", SIZE, "--conf", "0.001", "--save-csv", "--max-det", 3]
    text = run(root, "detect.py", *argv, cwd=home)
    assert "used 8 images, skipped 0" in text
    folder = home / "runs" / "detect" / "exp"
    assert len(list(folder.glob("*.png"))) == 8
    assert (folder / "predictions.csv").read_text().count("\n") > 8
    code = (
        "import sys; from engine import detect\n"
        "for result in detect(sys.argv[1], sys.argv[2], imgsz=64, conf_thres=0.001):\n"
        "    print(result.path, len(result.boxes))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(best), str(images)], cwd=root, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert sum(str(images) in line for line in done.stdout.splitlines()) == 8
