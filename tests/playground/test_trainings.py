"""The queue: one training after another, each a process; stop, resume, and what a page shows of it."""

import os
import shlex
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.errors import UsageError
from playground import trainings
from playground.trainings import DONE, FAILED, LOG, RUNNING, STOPPED, WAITING, Queue, Training

# Stands in for train.py: says what it was asked, makes a checkpoint, and goes on until it is told to end.
SCRIPT = """
import pathlib, signal, sys, time
print("asked", *sys.argv[1:], flush=True)
if "--resume" in sys.argv:
    sys.exit(0)
folder = pathlib.Path(sys.argv[sys.argv.index("--project") + 1], sys.argv[sys.argv.index("--name") + 1])
(folder / "weights").mkdir()
(folder / "weights" / "last.pt").touch()
if "7" in sys.argv:
    sys.exit("train.py: no")
print("10 %\\r 50 %\\r100 %\\x1b[31m", flush=True)
if "1" in sys.argv:
    sys.exit(0)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))
time.sleep(60)
"""


@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Queue]:
    """A queue whose train.py is the one above: --epochs 1 is done at once, 7 fails, others go on for a minute."""
    (tmp_path / "train.py").write_text(SCRIPT)
    monkeypatch.setattr(trainings, "ROOT", tmp_path)
    made = Queue(tmp_path / "runs")
    yield made
    made.close()
    assert all(one.process is None or one.process.poll() is not None for one in made.trainings)


def until(training: Training, state: str) -> None:
    deadline = time.monotonic() + 20
    while training.state != state:
        assert time.monotonic() < deadline, (training.state, training.log())
        time.sleep(0.02)


def test_one_after_another(queue: Queue) -> None:
    first, second, third = (queue.add({"epochs": n}) for n in (1, 7, 1))
    assert [one.folder.name for one in (first, second, third)] == ["exp", "exp2", "exp3"]
    assert (first.state, second.state, third.state) == (RUNNING, WAITING, WAITING)
    until(first, DONE)
    until(second, FAILED)
    until(third, DONE)
    assert (first.code, second.code) == (0, 1)
    assert second.log().endswith("train.py: no\n")
    assert first.log().splitlines()[0].startswith("asked --epochs 1 --project")
    assert first.log().splitlines()[1] == "100 %[31m"  # the bar as it stands, and nothing that a terminal would obey


def test_stop_and_resume(queue: Queue) -> None:
    running, waiting = queue.add({"epochs": 3}), queue.add({"epochs": 3})
    queue.stop(waiting)
    assert waiting.state == STOPPED
    assert not waiting.folder.exists()
    while "100 %" not in running.log():
        time.sleep(0.02)
    with pytest.raises(UsageError, match="in the queue already"):
        queue.resume(running.folder)
    queue.stop(running)
    until(running, STOPPED)
    rest = queue.resume(running.folder)
    until(rest, DONE)
    assert rest.argv == ["--resume", str(running.folder / "weights" / "last.pt")]
    assert rest.folder == running.folder
    with pytest.raises(UsageError, match="nothing to resume"):
        queue.resume(running.folder.parent)


@pytest.mark.parametrize(
    ("flags", "name"),
    [
        ({"epochs": 0}, "exp"),
        ({"epochs": "x"}, "exp"),
        ({"optimizer": "Lion"}, "exp"),
        ({"no-such-flag": 1}, "exp"),
        ({"epochs": 1}, "../exp"),
        ({"epochs": 1}, ""),
        ({"epochs": 1}, "x" * 100),
        ({"epochs": 1}, "-rf /"),
        ({"epochs": 1}, "-x"),
        ({"epochs": 1}, "a\nb"),
    ],
)
def test_what_train_py_would_not_take_is_not_queued(queue: Queue, flags: dict, name: str) -> None:
    with pytest.raises(UsageError):
        queue.add(flags, name)
    assert not queue.trainings
    assert not queue.runs.exists()


def test_a_missing_log_is_empty(tmp_path: Path) -> None:
    assert Training(1, [], tmp_path).log() == ""
    (tmp_path / LOG).write_bytes(b"\xff\n" + b"x" * 100_000)
    assert len(Training(1, [], tmp_path).log()) < 30_000


def test_a_folder_that_vanishes_while_its_training_waits_does_not_stop_the_queue(queue: Queue) -> None:
    first, second, third, fourth = (queue.add({"epochs": n}) for n in (9, 1, 1, 1))
    second.folder.rmdir()
    third.folder.rmdir()
    third.folder.touch()  # so that it cannot be made again
    queue.stop(first)
    until(fourth, DONE)
    assert (second.state, third.state) == (DONE, FAILED)


@pytest.mark.skipif(os.name == "nt", reason="shlex reads as the shells of Unix do")
@pytest.mark.parametrize("word", ["", "digits", "CBAM@neck.P3,neck.P4", "SE{reduction: 8}@9", "a&b.yaml", "模型.pt",
                                  "$HOME", 'a"b', "it's", "a`b", "~/x", "*"])  # fmt: skip
def test_the_command_that_is_shown_can_be_copied(word: str, tmp_path: Path) -> None:
    training = Training(1, ["--weights", word, "--epochs", "3"], tmp_path)
    assert shlex.split(training.command) == ["python", "train.py", *training.argv]
