"""Whole studies through the entry script: an undisturbed one, one that is killed again and again, one on Ray."""

import contextlib
import csv
import importlib.util
import os
import random
import re
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from models.weights.checkpoint import read_checkpoint
from study.execute.expected_time import Probe

ROOT = Path(__file__).resolve().parents[2]
CHANGES = {
    "variants": {"se": {"attention": "SE@neck.P3", "identity": True}},
    "controls": None,
    "seeds": 2,
    "budget": {"epochs": 3},
}
PLUGIN = """
import torch
from attention import ATTENTION

@ATTENTION.register("TimesTwo")
class TimesTwo(torch.nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor(2.0))

    def forward(self, x):
        return x * self.scale
"""
VARYING = ("epoch_seconds", "memory_mib")


def study(*argv: str) -> "subprocess.Popen[str]":
    """Start study.py in a process group of its own."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, str(ROOT / "study.py"), *argv],
        cwd=ROOT,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "results.csv").open(newline="") as file:
        return [{k: v for k, v in row.items() if k not in VARYING} for row in csv.DictReader(file)]


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    found = {}
    for path in sorted(folder.glob("runs/*/*/train/weights/*.pt")):
        for key, value in read_checkpoint(path)["weights"].items():
            found[f"{path.relative_to(folder)} {key}"] = value
    return found


@pytest.mark.slow
def test_a_killed_study_ends_as_an_undisturbed_one(write_spec: Callable[..., Path], tmp_path: Path) -> None:
    spec = str(write_spec(**CHANGES))
    started = time.monotonic()
    process = study(spec, "--project", str(tmp_path / "calm"))
    text, _ = process.communicate(timeout=800)
    assert process.returncode == 0, text
    took = time.monotonic() - started
    draw = random.Random(1)
    for _ in range(3):
        process = study(spec, "--project", str(tmp_path / "killed"))
        time.sleep(draw.uniform(0.2, 0.6) * took)
        # The runner alone, not its group: the run's process must go with it.
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    process = study(spec, "--project", str(tmp_path / "killed"))
    text, _ = process.communicate(timeout=800)
    assert process.returncode == 0, text
    calm, killed = tmp_path / "calm" / "tiny", tmp_path / "killed" / "tiny"
    assert rows(killed) == rows(calm)
    expected, found = tensors(calm), tensors(killed)
    assert list(found) == list(expected)
    assert len(found) > 8 * 100  # 4 runs × last and best
    different = [name for name in expected if not torch.equal(found[name], expected[name])]
    assert different == []
    again = study(spec, "--project", str(tmp_path / "killed"))
    text, _ = again.communicate(timeout=300)
    assert "4 runs: 4 done, 0 failed, 0 to do" in text


@pytest.mark.slow
def test_a_run_that_cannot_be_trained_is_reported(write_spec: Callable[..., Path], tmp_path: Path) -> None:
    # The detector has no attention to train with the baseline, so that run fails and the others do not.
    spec = str(write_spec(**{**CHANGES, "seeds": 1, "train": {"imgsz": 64, "train_only": "attention"}}))
    process = study(spec, "--project", str(tmp_path))
    text, _ = process.communicate(timeout=800)
    assert process.returncode == 1
    assert "baseline seed 0: failed: UsageError: --train-only attention: the model has none" in text
    assert "--retry-failed" in text
    assert "baseline seed 0 failed" in (tmp_path / "tiny" / "report.md").read_text()


@pytest.mark.slow
def test_a_mechanism_of_ones_own_is_studied(write_spec: Callable[..., Path], tmp_path: Path) -> None:
    plugin = tmp_path / "mine.py"
    plugin.write_text(PLUGIN)
    changes = {**CHANGES, "variants": {"mine": "TimesTwo@neck.P3"}, "controls": "all", "seeds": 1}
    spec = str(write_spec(**{**changes, "budget": {"epochs": 1}}))
    argv = [spec, "--project", str(tmp_path), "--plugin", str(plugin)]
    text, _ = study(*argv).communicate(timeout=800)
    assert "note: no control for 'mine': TimesTwo at 64 channels: 1 parameters are too few" in text
    assert "2 runs: 0 done, 0 failed, 2 to do" in text
    assert "mine: too few runs." in text
    for folder in (tmp_path / "tiny" / "runs" / "mine").iterdir():
        (folder / "done.json").unlink()  # measured in a process that does not train
    text, _ = study(*argv).communicate(timeout=800)
    assert "[2/2] mine seed 0: AP " in text


@pytest.mark.slow
def test_a_ray_cluster_gives_the_same_table(write_spec: Callable[..., Path], tmp_path: Path) -> None:
    if importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is not installed (requirements-extras.txt)")
    spec = str(write_spec(**{**CHANGES, "seeds": 1, "budget": {"epochs": 1}}))
    for argv in (["--project", str(tmp_path / "here")], ["--project", str(tmp_path / "ray"), "--ray", "local"]):
        process = study(spec, *argv)
        text, _ = process.communicate(timeout=800)
        assert process.returncode == 0, text
    assert rows(tmp_path / "ray" / "tiny") == rows(tmp_path / "here" / "tiny")


@pytest.fixture
def ray_node(tmp_path: Path) -> Iterator[Callable[..., "subprocess.Popen[bytes]"]]:
    """Return a function that starts a node of a Ray cluster, of one core, as processes of a group of its own."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is not installed (requirements-extras.txt)")
    argv = [sys.executable, "-m", "ray.scripts.scripts", "start", "--num-cpus", "1", "--block"]
    started: list[subprocess.Popen[bytes]] = []

    def start(*more: str) -> "subprocess.Popen[bytes]":
        with (tmp_path / f"node{len(started)}.txt").open("wb") as log:
            node = subprocess.Popen([*argv, *more], stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        started.append(node)
        return node

    yield start
    for node in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(node.pid, signal.SIGKILL)
        node.wait()


def nodes_of(folder: Path) -> dict[str, set[str]]:
    """Return run → the nodes that worked on it, as its log says."""
    logs = {path.parent.parent.name + path.parent.name: path.read_text() for path in folder.glob("runs/*/*/log.txt")}
    return {run: set(re.findall(r"^on Ray node (\w+)$", text, re.MULTILINE)) for run, text in logs.items()}


@pytest.mark.slow
def test_a_cluster_of_two_nodes_gives_the_same_table_though_one_is_lost(
    write_spec: Callable[..., Path],
    tmp_path: Path,
    ray_node: Callable[..., "subprocess.Popen[bytes]"],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_health_check_period_ms", "1000")  # a lost node is noticed in seconds
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    with tempfile.TemporaryDirectory(prefix="ray", dir="/tmp") as short:  # a socket's path has 107 letters at most
        ray_node("--head", "--port", port, "--include-dashboard=false", "--temp-dir", short)
        wait_for(lambda: "Ray runtime started" in (tmp_path / "node0.txt").read_text())
        other = ray_node("--address", f"127.0.0.1:{port}")
        wait_for(lambda: "Ray runtime started" in (tmp_path / "node1.txt").read_text())
        spec = str(write_spec(**{**CHANGES, "budget": {"epochs": 2}}))
        folder = tmp_path / "ray" / "tiny"
        process = study(spec, "--project", str(folder.parent), "--ray", f"127.0.0.1:{port}", "--workers", "1")
        wait_for(lambda: len(set().union(*nodes_of(folder).values())) == 2)
        os.killpg(other.pid, signal.SIGKILL)
        text, _ = process.communicate(timeout=1500)
        assert process.returncode == 0, text
    assert any(len(nodes) == 2 for nodes in nodes_of(folder).values())  # a run of the lost node went on elsewhere
    process = study(spec, "--project", str(tmp_path / "here"))
    text, _ = process.communicate(timeout=800)
    assert process.returncode == 0, text
    assert rows(folder) == rows(tmp_path / "here" / "tiny")


def wait_for(happened: Callable[[], bool], seconds: float = 400) -> None:
    """Wait until something is true.

    Raises:
        TimeoutError: if it does not become so.
    """
    end = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.5)


def test_a_dry_run_lists_what_would_be_done(
    write_spec: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from study.cli import main

    monkeypatch.setattr("study.execute.cost.epoch_seconds", lambda *args: 7.0)
    monkeypatch.setattr("study.execute.expected_time.probe", lambda paths: Probe(start=10.0))
    monkeypatch.setattr("study.execute.expected_time.look_seconds", lambda *args: 0.0)
    assert main([str(write_spec()), "--dry-run", "--project", str(tmp_path / "runs"), "--device", "cpu"]) == 0
    text = capsys.readouterr().out
    assert "4 models × 3 seeds = 12 runs at 64 px; images: 6 train, 6 val, 8 test; measured on test" in text
    assert "expected time, one run after the other: 5 min" in text  # 12 × (10 + 2 × 7) s
    assert "sk~control: " in text
    lines = {line.split()[0]: line.split() for line in text.splitlines() if line.startswith(("baseline", "sk "))}
    assert lines["baseline"][2] == "+0"
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("text", "unusable", "devices"),
    [
        ("", "", ["0"]),
        ("", "the GPU is not used: its driver is old", ["cpu"]),
        ("CPU", "", ["cpu"]),
        ("cuda", "", ["0"]),
        ("cuda:1, 0", "", ["1", "0"]),
        ("xpu:0,xpu:1", "", ["xpu:0", "xpu:1"]),
    ],
)
def test_the_devices_of_a_study_are_spelt_as_those_of_a_training(
    text: str, unusable: str, devices: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from study.cli import _devices

    monkeypatch.setattr("engine.runtime.gpu_advice.unusable_gpu", lambda: unusable)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.xpu, "is_available", lambda: True)
    assert _devices(text) == devices


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "study.py: which study?"),
        (["nowhere.yaml"], "study.py: nowhere.yaml: cannot be read"),
        (["SPEC", "--workers", "0"], "study.py: --workers 0"),
        (["SPEC", "--device", "9"], "study.py: --device 9: there are"),
        (["SPEC", "--device", "mps0"], "study.py: --device mps0: is neither cpu nor a GPU's number"),
        (["SPEC", "--resume"], "study.py: unknown argument '--resume'"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(
    argv: list[str], message: str, write_spec: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    from study.cli import main

    spec = str(write_spec())
    assert main([spec if argument == "SPEC" else argument for argument in argv]) == 2
    error = capsys.readouterr().err
    assert error.startswith(message)
    assert error.count("\n") == 1
