"""Exit codes and one-line messages of the three scripts, as a shell sees them."""

import errno
import os
import subprocess
import sys

import pytest
import torch

from engine.cli import main
from engine.errors import UsageError


def call(root, *argv, cwd=None):
    command = [sys.executable, str(root / argv[0]), *argv[1:]]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=cwd or root, env=environment, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module", autouse=True)
def _log_outlives_each_test():
    """Load ultralytics before a test captures its output: its log keeps the stream that it finds then."""
    import engine.training.run  # noqa: F401


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["train.py", "--evolve", "300"], "--evolve is a flag of YOLOv5 that has no meaning here: compare"),
        (["train.py", "--epochs", "0"], "argument --epochs: '0' is not a whole number of at least 1"),
        (["train.py", "--resume", "nowhere/last.pt"], "--resume nowhere/last.pt: there is no such file"),
        (["train.py", "--resume", "--project", "nowhere"], "--resume: no last.pt below"),
        (
            ["train.py", "--cfg", "yolov5n", "--weights", "", "--data", "nowhere.yaml"],
            "nowhere.yaml: no such data YAML",
        ),
        (["train.py", "--cache", "disk"], "argument --cache: invalid choice: 'disk'"),
        (["val.py", "--weights", "nowhere.pt"], "nowhere.pt: no such file"),
        (["val.py", "--save-hybrid"], "use --save-txt --save-conf"),
        (["detect.py", "--weights", "nowhere.pt"], "nowhere.pt: no such file"),
        (["detect.py", "--weights", "nowhere.onnx"], "there is no such exported model"),
        (["detect.py", "--weights", "yolov5s.pt"], "--download"),
        (["detect.py", "--weights", "é" * 200], "é…; its name is too long for a file"),
        (["val.py", "--data", "é" * 200], "é…; its name is too long for a file"),
        (["detect.py", "--source", "~nobody-of-this-name/x.jpg"], "~nobody-of-this-name/x.jpg: there is no such file"),
        (["val.py", "--data", "~nobody-of-this-name/x.yaml"], "~nobody-of-this-name/x.yaml: no such data YAML"),
        (["detect.py", "--source", "nowhere/**.jpg"], "--source nowhere/**.jpg: nothing in it"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(tmp_path, monkeypatch, capsys, argv, text):
    monkeypatch.chdir(tmp_path)
    assert main.main(argv[0].removesuffix(".py"), argv[1:]) == 2
    message = capsys.readouterr().err
    assert text in message
    assert message.count("\n") == 1
    assert message.startswith(f"{argv[0]}: ")
    assert list(tmp_path.iterdir()) == []


def test_a_shell_sees_the_exit_code_and_no_traceback(root, tmp_path):
    done = call(root, "detect.py", "--source", "nowhere.jpg", "--img", "wide", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == (
        "detect.py: argument --imgsz/--img/--img-size: 'wide' is not a whole number of at least 1; "
        "`detect.py --help` lists the flags\n"
    )


def test_help_lists_every_flag(root):
    done = call(root, "train.py", "--help")
    assert done.returncode == 0
    assert all(flag in done.stdout for flag in ("--attention", "--identity", "--train-only", "--batch-size", "--hyp"))


def test_a_foreign_package_of_the_same_name_is_named(tmp_path, monkeypatch):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "models", raising=False)
    with pytest.raises(UsageError, match="remove the other from PYTHONPATH"):
        main._check_checkout()


def test_other_errors_are_not_hidden(monkeypatch):
    def fail(options):
        raise ValueError("a fault of ours")

    monkeypatch.setattr("engine.training.run.run_training", fail)
    with pytest.raises(ValueError, match="a fault of ours"):
        main.main("train", ["--epochs", "1"])


def test_a_file_that_may_not_be_read_is_one_line(monkeypatch, capsys):
    def refuse(options):
        raise PermissionError(13, "Permission denied", "/data/list.txt")

    monkeypatch.setattr("engine.training.run.run_training", refuse)
    assert main.main("train", ["--epochs", "1"]) == 2
    assert capsys.readouterr().err.startswith("train.py: /data/list.txt: no permission to read or write it")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a capacity of 4 GiB"),
            "CUDA out of memory;",
        ),
        (RuntimeError("MPS backend out of memory (MPS allocated: 9 GB, max allowed: 9 GB)."), "MPS backend out of"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to"), "[enforce fail]"),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), "cuDNN error"),
        (MemoryError("Unable to allocate 3.00 GiB for an array"), "Unable to allocate 3.00 GiB for an array;"),
        (MemoryError(), "Python has none left;"),
    ],
)
def test_no_memory_left_is_one_line(monkeypatch, capsys, error, said):
    def fail(options):
        raise error

    monkeypatch.setattr("engine.validation.run.run_validation", fail)
    assert main.main("val", ["--batch-size", "4096"]) == 1
    line = capsys.readouterr().err
    assert line.startswith(f"val.py: out of memory: {said}")
    assert line.endswith("; use a smaller --batch-size or --imgsz, or end what else uses this memory\n")
    assert line.count("\n") == 1


def test_a_loader_process_without_shared_memory_is_one_line(monkeypatch, capsys):
    def fail(options):
        raise RuntimeError(
            "DataLoader worker (pid 71) is killed by signal: Bus error. It is possible that dataloader's workers are "
            "out of shared memory. Please try to raise your shared memory limit."
        )

    monkeypatch.setattr("engine.validation.run.run_validation", fail)
    assert main.main("val", ["--workers", "8"]) == 1
    line = "val.py: out of shared memory: start the container with --ipc=host or --shm-size=8g, or use --workers 0\n"
    assert capsys.readouterr().err == line


def test_another_fault_of_pytorch_is_not_hidden(monkeypatch):
    def fail(options):
        raise RuntimeError("shapes cannot be multiplied")

    monkeypatch.setattr("engine.validation.run.run_validation", fail)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        main.main("val", ["--batch-size", "1"])


def test_an_interruption_is_no_traceback(monkeypatch, capsys):
    def stop(options):
        raise KeyboardInterrupt

    monkeypatch.setattr("engine.training.run.run_training", stop)
    assert main.main("train", []) == 130
    assert capsys.readouterr().err == "train.py: interrupted\n"


@pytest.mark.parametrize("script", ["train.py", "val.py", "detect.py"])
def test_scripts_are_short(root, script):
    assert len((root / script).read_text().splitlines()) <= 80


def test_a_full_disk_is_one_line(monkeypatch, capsys):
    def fill(options):
        raise OSError(errno.ENOSPC, "No space left on device", "/runs/opt.yaml")

    monkeypatch.setattr("engine.training.run.run_training", fill)
    assert main.main("train", ["--epochs", "1"]) == 1
    assert capsys.readouterr().err == (
        "train.py: /runs/opt.yaml: cannot be written (No space left on device); free some space on that disk, then run "
        "the command again\n"
    )


@pytest.mark.parametrize(
    "said", ["DataLoader worker (pid 7) is killed by signal: Bus error. It is", "DataLoader worker (pid(s) 7) exited"]
)
def test_a_lost_loader_process_is_one_line(monkeypatch, capsys, said):
    def lose(options):
        raise RuntimeError(said)

    monkeypatch.setattr("engine.training.run.run_training", lose)
    assert main.main("train", ["--epochs", "1"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("train.py: a loader process was ended (DataLoader worker (pid")
    assert line.endswith("in a container raise --shm-size, and go on with --resume")


def test_a_lost_loader_process_of_validation_names_no_resume(monkeypatch, capsys):
    def lose(options):
        raise RuntimeError("DataLoader worker (pid(s) 7) exited")

    monkeypatch.setattr("engine.validation.run.run_validation", lose)
    assert main.main("val", ["--workers", "8"]) == 1
    assert capsys.readouterr().err.endswith("in a container raise --shm-size, and run the command again\n")
