"""A queue of trainings: each a process of train.py of its own, one after another; stop and resume."""

import os
import re
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data.folders import ROOT
from engine.cli.run_folder import run_folder
from engine.cli.train_flags import train_parser
from playground.errors import PageError

WAITING, RUNNING, STOPPING, STOPPED, DONE, FAILED = "waiting", "running", "stopping", "stopped", "done", "failed"
ENDED = (STOPPED, DONE, FAILED)
LOG = "console.txt"  # in the run's folder
TAIL = 20_000  # bytes of a log that are shown
LINES = 40
MOST = 50  # trainings that wait
NAME = re.compile(r"[^\W_][\w-]{0,59}")  # of a run's folder; a dash at the start would be a flag
PLAIN = re.compile(r"[\w./:=+@,-]+")  # what needs no quotes
PATIENCE = 20  # seconds that a training has to end when the server does


@dataclass
class Training:
    """One training of the queue.

    Attributes:
        number: from 1.
        argv: arguments of train.py.
        folder: of the run.
        state: "waiting", "running", "stopping", "stopped", "done" or "failed".
        code: exit code, once it ended.
    """

    number: int
    argv: list[str]
    folder: Path
    state: str = WAITING
    code: int | None = None
    process: Any = field(default=None, repr=False)

    @property
    def command(self) -> str:
        """The command line that does the same."""
        return " ".join(["python train.py", *map(_quoted, self.argv)])

    @property
    def checkpoint(self) -> Path | None:
        """The checkpoint to resume from, if there is one yet."""
        path = self.folder / "weights" / "last.pt"
        return path if path.is_file() else None

    def log(self) -> str:
        """Return the last lines of what train.py printed, progress bars as they stand."""
        try:
            with (self.folder / LOG).open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL))
                text = file.read().decode("utf-8", "replace")
        except OSError:
            return ""
        lines = [line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n")]
        return "\n".join("".join(c for c in line if c.isprintable() or c == "\t") for line in lines[-LINES:])


class Queue:
    """Run trainings one after another.

    Args:
        runs: folder of runs; each training gets a folder train/NAME in it.
        plugins: files of the user's own mechanisms, given to every training.
    """

    def __init__(self, runs: Path, plugins: Sequence[str] = ()) -> None:
        self.runs, self.plugins = runs, list(plugins)
        self.trainings: list[Training] = []
        self._lock = threading.RLock()
        self._closed = False

    def add(self, flags: Mapping[str, Any], name: str = "exp") -> Training:
        """Queue a training.

        Args:
            flags: of train.py, by name with dashes; None and False leave one out, True stands alone.
            name: of its folder.

        Raises:
            UsageError: if train.py would not take a flag, or too many wait.
        """
        if not NAME.fullmatch(name):
            raise PageError("bad_name", name=repr(name[:60]))
        argv = arguments({**flags, "plugin": self.plugins or None})
        train_parser().parse_args(argv)
        self._check_room()
        folder = run_folder(str(self.runs / "train"), name, False)
        return self._enter([*argv, "--project", str(folder.parent), "--name", folder.name, "--exist-ok"], folder)

    def resume(self, folder: Path) -> Training:
        """Queue what is left of a run.

        Raises:
            UsageError: if there is nothing to go on from, or the run is in the queue already.
        """
        self._check_room()
        last = folder / "weights" / "last.pt"
        if not last.is_file():
            raise PageError("nothing_to_resume", name=folder.name)
        if self.busy(folder):
            raise PageError("queued_already", name=folder.name)
        return self._enter(["--resume", str(last), *arguments({"plugin": self.plugins or None})], folder)

    def stop(self, training: Training) -> None:
        """Ask a training to end after it has written what it has; one that waits leaves the queue."""
        with self._lock:
            if training.state == WAITING:
                training.state = STOPPED
                _remove_if_empty(training.folder)
            elif training.state == RUNNING:
                training.state = STOPPING
                training.process.terminate()

    def busy(self, folder: Path) -> bool:
        """Tell whether a training of this folder waits or runs."""
        return any(one.folder == folder and one.state not in ENDED for one in self.trainings)

    def close(self) -> None:
        """End what runs, and start nothing more."""
        with self._lock:
            self._closed = True
            for training in self.trainings:
                self.stop(training)
        for training in self.trainings:
            if training.process is not None:
                try:
                    training.process.wait(PATIENCE)
                except subprocess.TimeoutExpired:
                    training.process.kill()

    def _check_room(self) -> None:
        if sum(one.state == WAITING for one in self.trainings) >= MOST:
            raise PageError("many_wait", most=MOST)

    def _enter(self, argv: list[str], folder: Path) -> Training:
        with self._lock:
            training = Training(len(self.trainings) + 1, argv, folder)
            self.trainings.append(training)
            self._start_next()
        return training

    def _start_next(self) -> None:
        with self._lock:
            if self._closed or any(one.state in (RUNNING, STOPPING) for one in self.trainings):
                return
            for training in self.trainings:
                if training.state == WAITING and self._start(training):
                    return

    def _start(self, training: Training) -> bool:
        """Start a training and return whether it runs; one whose folder cannot be written has failed."""
        try:
            training.folder.mkdir(parents=True, exist_ok=True)  # it may have been deleted while the training waited
            with (training.folder / LOG).open("ab") as log:
                training.process = subprocess.Popen(  # noqa: S603 - this project's train.py, its flags checked
                    [sys.executable, str(ROOT / "train.py"), *training.argv],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        except OSError:
            training.state = FAILED
            return False
        training.state = RUNNING
        threading.Thread(target=self._wait, args=(training,), daemon=True).start()
        return True

    def _wait(self, training: Training) -> None:
        """Note how a training ended, and start the next."""
        code = training.process.wait()
        with self._lock:
            training.code = code
            stopped = training.state == STOPPING or code in (130, -signal.SIGTERM)
            training.state = DONE if code == 0 else STOPPED if stopped else FAILED
            self._start_next()


def arguments(flags: Mapping[str, Any]) -> list[str]:
    """Return flags as arguments of a command line."""
    from study.plan.run import train_argv

    return train_argv(flags)


def _quoted(word: str) -> str:
    """Return a word as a shell takes it; in double quotes, which every shell knows, as long as they hold it."""
    if PLAIN.fullmatch(word):
        return word
    if os.name == "nt":
        return subprocess.list2cmdline([word]) if word else '""'
    return shlex.quote(word) if re.search(r'["$`\\!\n]', word) else f'"{word}"'


def _remove_if_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        return
