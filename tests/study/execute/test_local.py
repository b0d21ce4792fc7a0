"""The runner, with processes that only pretend to train."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import pytest
from filelock import FileLock

from study.execute import local
from study.execute.local import execute, sort_runs, status
from study.execute.worker import BUSY
from study.execute.worker import main as work_main
from study.plan.plan import Plan
from study.plan.run import Run, read_json, write_json

PRETEND = """
import json, os, signal, sys, time
from pathlib import Path
folder = Path(sys.argv[1])
run = json.loads((folder / "run.json").read_text())
with (folder.parents[2] / "order.txt").open("a") as file:
    file.write(f"{run['variant']} {run['seed']} {os.environ['OMP_NUM_THREADS']}\\n")
ACTION
(folder / "last").mkdir(exist_ok=True)
(folder / "last" / "metrics.json").write_text('{"coco": {"AP": 0.5, "AP50": 0.75}}')
(folder / "done.json").write_text(json.dumps({"key": run["key"], "eval_key": run["eval_key"]}))
"""


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Return a function that makes runs do something else than train."""

    def choose(action: str) -> None:
        script = tmp_path / "pretend.py"
        script.write_text(PRETEND.replace("ACTION", textwrap.dedent(action)))
        real = local.command

        def command(run: Run, device: str) -> tuple[list[str], dict[str, str]]:
            _, environment = real(run, device)
            return [sys.executable, str(script), str(run.folder)], environment

        monkeypatch.setattr(local, "command", command)

    return choose


@pytest.fixture
def plan(make: Callable[..., Plan]) -> Plan:
    return make(seeds=2, controls=None)


def order(plan: Plan) -> list[str]:
    path = plan.folder / "order.txt"
    return path.read_text().splitlines() if path.exists() else []


def test_every_run_is_done_once(plan: Plan, pretend: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    pretend("")
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    said: list[str] = []
    outcome = execute(plan, workers=2, say=said.append)
    assert outcome.new == len(outcome.done) == 6
    assert sorted(order(plan)) == sorted(f"{run.variant} {run.seed} 2" for run in plan.runs)
    assert said[0] == "6 runs: 0 done, 0 failed, 6 to do; 2 at a time, 2 threads each"
    assert said[-1].startswith("[6/6] ")
    assert ": AP 50.0, AP50 75.0 (" in said[-1]
    again = execute(plan, say=said.append)
    assert (again.new, len(again.done)) == (0, 6)
    assert len(order(plan)) == 6


def test_a_failure_is_recorded_and_the_rest_goes_on(plan: Plan, pretend: Callable[[str], None]) -> None:
    pretend(
        """
        if run["variant"] == "se" and not (folder.parents[2] / "mended").exists():
            (folder / "failed.json").write_text('{"error": "ValueError: broken"}')
            sys.exit(1)
        (folder / "failed.json").unlink(missing_ok=True)
        """
    )
    outcome = execute(plan, say=lambda text: None)
    assert {run.label: text for run, text in outcome.failed.items()} == {
        "se seed 0": "ValueError: broken",
        "se seed 1": "ValueError: broken",
    }
    assert len(outcome.done) == 4
    (plan.folder / "mended").touch()
    before = len(order(plan))
    assert len(execute(plan, say=lambda text: None).failed) == 2  # not tried again unasked
    assert len(order(plan)) == before
    assert len(execute(plan, retry_failed=True, say=lambda text: None).done) == 6


def test_a_killed_run_goes_on_once_then_counts_as_failed(plan: Plan, pretend: Callable[[str], None]) -> None:
    pretend('if run["variant"] == "se": os.kill(os.getpid(), signal.SIGKILL)')
    outcome = execute(plan, say=lambda text: None)
    assert [line for line in order(plan) if line.startswith("se 0")] == ["se 0 " + order(plan)[0].split()[-1]] * 2
    assert set(outcome.failed.values()) == {"ended by signal 9 (out of memory?)"}


def test_a_run_that_dies_without_a_word_failed(plan: Plan, pretend: Callable[[str], None]) -> None:
    pretend('if run["variant"] == "se": sys.exit(3)')
    assert set(execute(plan, say=lambda text: None).failed.values()) == {"ended with exit code 3"}


def test_a_run_that_another_runner_has_is_waited_for(
    plan: Plan, pretend: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "WAIT", 0.1)
    pretend(
        f"""
        busy = folder / "busy"
        if run["variant"] == "se" and not busy.exists():
            busy.touch()
            sys.exit({BUSY})
        """
    )
    assert len(execute(plan, say=lambda text: None).done) == 6


WORK_WITHOUT_TRAINING = """
import sys, time, types
from study.execute import worker as work
def train(folder, run, device):
    with (folder.parents[2] / "order.txt").open("a") as file:
        file.write(f"{run['variant']} {run['seed']}\\n")
    time.sleep(0.5)
    return False
work.train = train
sys.modules["study.execute.measure"] = types.SimpleNamespace(measure=lambda *args: None)
sys.exit(work.main())
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the second runner is a fork of this process")
def test_two_runners_share_the_runs(make: Callable[..., Plan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = make(seeds=1, controls=None)
    script = tmp_path / "work.py"
    script.write_text(WORK_WITHOUT_TRAINING)
    real = local.command

    def command(run: Run, device: str) -> tuple[list[str], dict[str, str]]:
        return [sys.executable, str(script), str(run.folder)], real(run, device)[1]

    def say(text: str) -> None:
        pass

    monkeypatch.setattr(local, "WAIT", 0.2)
    monkeypatch.setattr(local, "command", command)
    other = get_context("fork").Process(target=execute, args=(plan, 2), kwargs={"say": say})
    other.start()
    outcome = execute(plan, workers=2, say=say)
    other.join(300)
    assert other.exitcode == 0
    assert len(outcome.done) == 3
    assert sorted(order(plan)) == sorted(f"{run.variant} {run.seed}" for run in plan.runs)  # each once


def test_a_changed_run_keeps_what_was_done_before(plan: Plan, pretend: Callable[[str], None], make: Callable) -> None:
    pretend("")
    execute(plan, say=lambda text: None)
    other = make(seeds=2, controls=None, budget={"epochs": 3})
    assert {status(run) for run in other.runs} == {"new"}
    assert {status(run) for run in make(seeds=2, controls=None).runs} == {"done"}


def test_threads_of_a_run_that_has_begun_stay(plan: Plan) -> None:
    run = plan.runs[0]
    local.prepare(plan, run, 4)
    local.prepare(plan, run, 2)
    assert (read_json(run.folder / "run.json") or {})["threads"] == 2  # nothing is trained yet
    weights = run.folder / "train" / "weights"
    weights.mkdir(parents=True)
    (weights / "last.pt").touch()
    assert status(run) == "begun"
    local.prepare(plan, run, 1)
    assert (read_json(run.folder / "run.json") or {})["threads"] == 2


def test_the_process_of_a_run_holds_its_lock(plan: Plan) -> None:
    run = plan.runs[0]
    local.prepare(plan, run, 1)
    with FileLock(run.folder / "lock"):
        argv, environment = local.command(run, "cpu")
        assert argv[1:] == ["-m", "study.execute.worker", str(run.folder), "--device", "cpu"]
        done = subprocess.run(argv, env=environment, capture_output=True, timeout=120, check=False)
    assert done.returncode == BUSY


def test_what_a_run_fails_with_is_written_down(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    run = plan.runs[0]
    run.folder.mkdir(parents=True)
    monkeypatch.setattr("study.execute.worker._end_with_parent", lambda: None)
    assert work_main([str(run.folder)]) == 1
    found = read_json(run.folder / "failed.json") or {}
    assert found["error"].startswith("ValueError: ")
    assert "has no run.json" in found["error"]
    assert status(run) == "failed"
    outcome, waiting = sort_runs(plan, retry_failed=False)
    assert list(outcome.failed) == [run]
    assert len(waiting) == 5


def test_interrupting_ends_the_processes(plan: Plan, pretend: Callable[[str], None]) -> None:
    pretend('(folder.parents[2] / "pid").write_text(str(os.getpid())); time.sleep(60)')

    def say(text: str) -> None:
        signal.setitimer(signal.ITIMER_REAL, 1.5)

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            execute(plan, say=say)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    child = int((plan.folder / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the system ends a process with its parent on Linux")
def test_a_run_does_not_outlive_a_killed_runner(tmp_path: Path) -> None:
    child = "import time; from study.execute.worker import _end_with_parent as end; end(); print('up', flush=True); "
    child += "time.sleep(60)"
    parent = (
        "import subprocess, sys; "
        f"p = subprocess.Popen([sys.executable, '-c', {child!r}], stdout=subprocess.PIPE); "
        "p.stdout.readline(); print(p.pid, flush=True); p.wait()"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(local.__file__).parents[2])}
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        process.kill()
    for _ in range(100):
        if not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text().split()[2]:
            return
        time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
    pytest.fail("the process is still there")


def test_json_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"x": 1})
    assert read_json(tmp_path / "a.json") == {"x": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    (tmp_path / "a.json").write_text('{"x": ')
    assert read_json(tmp_path / "a.json") is None


def test_a_run_that_is_told_to_end_goes_on_once(plan: Plan, pretend: Callable[[str], None]) -> None:
    """Systems that run out of memory ask before they kill; the worker ends with 130 then."""
    pretend('if run["variant"] == "se" and not (folder / "asked").exists(): (folder / "asked").touch(); sys.exit(130)')
    said: list[str] = []
    outcome = execute(plan, say=said.append)
    assert not outcome.failed
    assert len(outcome.done) == len(plan.runs)
    assert any("se seed 0: ended by signal 15; it goes on from its last epoch, once" in line for line in said)
