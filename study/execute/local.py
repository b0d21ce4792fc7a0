"""Run a plan: processes side by side, nothing done twice, failures recorded."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data.folders import ROOT
from engine.runtime.signals import terminating_as_interrupt
from models.upstream.environment import threads as usable_threads
from study.execute.worker import BUSY, INTERRUPTED
from study.plan.plan import Plan
from study.plan.run import Run, read_json, write_json

POLL = 0.2  # seconds between looks at the processes
WAIT = 2.0  # seconds before a run that another runner had is tried again
Say = Callable[[str], None]


@dataclass
class Outcome:
    """What became of a plan's runs.

    Attributes:
        done: finished, now or earlier.
        failed: run → error.
        new: how many of `done` were worked on now.
    """

    done: list[Run] = field(default_factory=list)
    failed: dict[Run, str] = field(default_factory=dict)
    new: int = 0


@dataclass
class Slot:
    """Room for one process: its device and number of threads."""

    device: str
    threads: int
    run: Run | None = None
    process: Any = None
    started: float = 0.0


def status(run: Run) -> str:
    """Return "done", "failed", "begun" or "new"."""
    done = read_json(run.folder / "done.json")
    if done is not None and done.get("eval_key") == run.eval_key:
        return "done"
    if (run.folder / "failed.json").exists():
        return "failed"
    return "begun" if (run.folder / "train" / "weights" / "last.pt").exists() else "new"


def prepare(plan: Plan, run: Run, threads: int) -> None:
    """Write what a run's process has to know.

    The number of threads of a run that has begun stays: sums in another order would not be the same run.
    """
    before = read_json(run.folder / "run.json")
    if before is not None and status(run) == "begun":
        threads = int(before["threads"])
    content = {
        "variant": run.variant,
        "seed": run.seed,
        "key": run.key,
        "eval_key": run.eval_key,
        "argv": list(run.argv),
        "mechanisms": list(run.mechanisms),
        "plugins": list(map(str, plan.plugins)),
        "code": run.code,
        "recipe": json.loads(json.dumps(run.recipe, default=str)),
        "data": plan.data,
        "split": plan.split,
        "threads": threads,
        "options": {
            "imgsz": plan.options["imgsz"],
            "single_cls": plan.options["single_cls"],
            **{name: True for name in ("stretch", "reduced_decode") if plan.options[name]},
            "data_root": plan.spec.data_root if plan.data == plan.spec.data else None,
        },
    }
    if content != before:
        write_json(run.folder / "run.json", content)


def command(run: Run, device: str) -> tuple[list[str], dict[str, str]]:
    """Return the command of a run's process, and its environment."""
    content = read_json(run.folder / "run.json") or {}
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "OMP_NUM_THREADS": str(content["threads"]),
        "PYTHONUNBUFFERED": "1",
    }
    argv = [sys.executable, "-m", "study.execute.worker", str(run.folder)]
    return [*argv, *(["--device", device] if device else [])], environment


def execute(
    plan: Plan, workers: int = 1, devices: Sequence[str] = ("",), retry_failed: bool = False, say: Say = print
) -> Outcome:
    """Work on every run that is not done.

    Args:
        plan: with its runs addressed.
        workers: processes at a time; they divide the threads.
        devices: given to the processes in turn.
        retry_failed: try failed runs again.
        say: takes progress as lines.

    Returns:
        What is done and what failed. A run that another runner has is waited for.
    """
    threads = max(1, usable_threads() // workers)
    slots = [Slot(devices[number % len(devices)], threads) for number in range(workers)]
    outcome, waiting = sort_runs(plan, retry_failed)
    say(
        f"{len(plan.runs)} runs: {len(outcome.done)} done, {len(outcome.failed)} failed, {len(waiting)} to do; "
        f"{workers} at a time, {threads} thread{'s' * (threads > 1)} each"
    )
    killed: set[Run] = set()
    with _ending_children(slots):
        while waiting or any(slot.run for slot in slots):
            for slot in slots:
                if slot.run is None and waiting and waiting[0][0] <= time.monotonic():
                    _start(plan, slot, waiting.pop(0)[1])
                elif slot.run is not None and slot.process.poll() is not None:
                    _finish(slot, slot.process.returncode, outcome, waiting, killed, say, len(plan.runs))
            time.sleep(POLL)
    return outcome


def sort_runs(plan: Plan, retry_failed: bool) -> tuple[Outcome, list[tuple[float, Run]]]:
    """Return what is settled already, and what is to do, each with the time from which it may be tried."""
    outcome, waiting = Outcome(), []
    for run in plan.runs:
        state = status(run)
        if state == "done":
            outcome.done.append(run)
        elif state == "failed" and not retry_failed:
            outcome.failed[run] = failure(run)
        else:
            waiting.append((0.0, run))
    return outcome, waiting


def failure(run: Run) -> str:
    """Return why a run failed."""
    return str((read_json(run.folder / "failed.json") or {}).get("error", "unknown"))


def settle(run: Run, code: int, outcome: Outcome, again: bool) -> str:
    """Take a finished process into account.

    Args:
        run: whose process it was.
        code: its exit code, negative for a signal.
        outcome: to add to.
        again: whether a run ended by a signal is tried once more.

    Returns:
        "done", "failed", "busy" or "killed".
    """
    if code == BUSY:
        return "busy"
    if status(run) == "done":
        outcome.done.append(run)
        outcome.new += 1
        return "done"
    if code < 0 and again:
        return "killed"
    if code < 0 or not (run.folder / "failed.json").exists():
        reason = f"ended by signal {-code} (out of memory?)" if code < 0 else f"ended with exit code {code}"
        write_json(run.folder / "failed.json", {"error": reason, "trace": [], "time": time.time()})
    outcome.failed[run] = failure(run)
    return "failed"


def _start(plan: Plan, slot: Slot, run: Run) -> None:
    prepare(plan, run, slot.threads)
    argv, environment = command(run, slot.device)
    with (run.folder / "log.txt").open("ab") as log:
        slot.process = subprocess.Popen(argv, env=environment, stdout=log, stderr=subprocess.STDOUT)  # noqa: S603
    slot.run, slot.started = run, time.monotonic()


def _finish(
    slot: Slot,
    code: int,
    outcome: Outcome,
    waiting: list[tuple[float, Run]],
    killed: set[Run],
    say: Say,
    runs: int,
) -> None:
    run, seconds = slot.run, time.monotonic() - slot.started
    code = -signal.SIGTERM if code == INTERRUPTED else code
    assert run is not None  # noqa: S101 - the caller looked
    slot.run = slot.process = None
    what = settle(run, code, outcome, again=run not in killed)
    if what == "busy":
        waiting.append((time.monotonic() + WAIT, run))
        return
    if what == "killed":
        killed.add(run)
        waiting.insert(0, (0.0, run))
        say(f"{run.label}: ended by signal {-code}; it goes on from its last epoch, once")
        return
    settled = len(outcome.done) + len(outcome.failed)
    result = f"failed: {outcome.failed[run]}; log: {run.folder / 'log.txt'}" if what == "failed" else headline(run)
    say(f"[{settled}/{runs}] {run.label}: {result} ({seconds:.0f} s)")


def headline(run: Run) -> str:
    """Return a finished run's AP and AP50 in short."""
    coco = (read_json(run.folder / "last" / "metrics.json") or {}).get("coco", {})
    return f"AP {100 * coco.get('AP', -1):.1f}, AP50 {100 * coco.get('AP50', -1):.1f}"


@contextmanager
def _ending_children(slots: list[Slot]) -> Iterator[None]:
    """End the processes when this one is interrupted; they stop within a batch and can be continued."""

    try:
        with terminating_as_interrupt():
            yield
    finally:
        for slot in slots:
            if slot.process is not None and slot.process.poll() is None:
                slot.process.terminate()
        for slot in slots:
            if slot.process is not None:
                try:
                    slot.process.wait(timeout=10)
                except subprocess.TimeoutExpired:
                    slot.process.kill()


def log_tail(run: Run, lines: int = 20) -> str:
    """Return the end of a run's log."""
    path: Path = run.folder / "log.txt"
    if not path.exists():
        return ""
    return "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
