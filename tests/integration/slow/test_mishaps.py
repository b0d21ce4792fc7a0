"""What happens to a training when its disk is full, its folder vanishes, it is told to stop, or the clock jumps."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch

pytestmark = pytest.mark.slow

EPOCHS = 4


@pytest.fixture
def begin(root, digits):
    """Start a training in a folder; its output goes through a pipe."""
    running = []

    def start(folder, *more):
        argv = ["--cfg=yolov5n", "--weights=", "--imgsz=64", "--batch-size=8", f"--epochs={EPOCHS}", "--device=cpu"]
        argv += ["--noplots", "--noautoanchor", f"--data={digits}", f"--project={folder}"]
        argv = [*more, f"--project={folder}"] if "--resume" in more else [*argv, *more]
        process = subprocess.Popen(
            [sys.executable, str(root / "train.py"), *argv],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own, 64 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)]
    if os.geteuid() or shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("mounting a small file system takes root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def wait_for(path, process):
    deadline = time.monotonic() + 300
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)


def epochs_done(folder):
    return torch.load(folder / "exp" / "weights" / "last.pt", weights_only=True)["training"]["epoch"] + 1


def finish(begin, folder):
    """Continue the latest run; it must reach its end."""
    process = begin(folder, "--resume")
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert epochs_done(folder) == EPOCHS
    assert (folder / "exp" / "results.csv").read_text().count("\n") == EPOCHS + 1


def test_sigterm_ends_it_cleanly_and_says_how_to_continue(begin, tmp_path):
    process = begin(tmp_path)
    wait_for(tmp_path / "exp" / "results.csv", process)
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"continue with: python train.py --resume {tmp_path / 'exp' / 'weights' / 'last.pt'}" in output
    assert "Traceback" not in output + errors
    assert not list(tmp_path.rglob("*.tmp"))
    finish(begin, tmp_path)


def test_a_full_disk_costs_nothing_that_was_saved(begin, small_disk):
    process = begin(small_disk)
    wait_for(small_disk / "exp" / "results.csv", process)
    ballast = small_disk / "ballast"
    with ballast.open("wb") as stream:
        while True:
            try:
                os.write(stream.fileno(), b"\0" * (1 << 20))
            except OSError:
                break
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 1, errors
    assert "Traceback" not in errors
    assert "cannot be written (No space left on device); free some space on that disk" in errors
    assert "then continue with: python train.py --resume" in errors
    assert epochs_done(small_disk) < EPOCHS
    ballast.unlink()
    finish(begin, small_disk)


def test_a_disk_that_becomes_read_only(begin, small_disk):
    process = begin(small_disk)
    wait_for(small_disk / "exp" / "results.csv", process)
    remount = ["mount", "-o", "remount,ro", str(small_disk)]
    deadline = time.monotonic() + 60
    while subprocess.run(remount, capture_output=True).returncode and time.monotonic() < deadline:
        time.sleep(0.01)  # not while a file is being written
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 1, errors
    assert "Traceback" not in errors
    assert "choose a folder that can be written" in errors
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    finish(begin, small_disk)


def test_a_deleted_run_folder_is_made_anew(begin, tmp_path):
    process = begin(tmp_path)
    wait_for(tmp_path / "exp" / "results.csv", process)
    shutil.rmtree(tmp_path / "exp", ignore_errors=True)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert epochs_done(tmp_path) == EPOCHS
    assert (tmp_path / "exp" / "results.csv").read_text().count("\n") == EPOCHS + 1
