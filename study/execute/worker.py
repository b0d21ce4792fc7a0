"""Work on one run in its own process: `python -m study.execute.worker FOLDER` trains, or goes on, then measures.

The process holds the folder's lock for as long as it lives, so no two ever work on one run, whoever started them.
"""

import argparse
import ctypes
import os
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from study.plan.code_fingerprint import TRAINING_CODE, code_hash
from study.plan.run import read_json, write_json

BUSY = 75  # exit code: another process has the run
INTERRUPTED = 130  # exit code: told to end, as by a system that runs out of memory
_TRACE_LINES = 12


def main(argv: list[str] | None = None) -> int:
    """Work on one run.

    Returns:
        0 done, BUSY if another process has it, 1 failed (failed.json in the folder says why).
    """
    parser = argparse.ArgumentParser(
        prog="python -m study.execute.worker", description="Train and measure one run of a study."
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--device", default="")
    options = parser.parse_args(argv)
    _end_with_parent()
    try:
        with FileLock(options.folder / "lock", timeout=0):
            return _guarded(options.folder, options.device)
    except Timeout:
        return BUSY


def _guarded(folder: Path, device: str) -> int:
    (folder / "failed.json").unlink(missing_ok=True)
    try:
        work(folder, device)
    except KeyboardInterrupt:
        return INTERRUPTED
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a run fails with is recorded, the others go on
        lines = traceback.format_exc().splitlines()
        sys.stderr.write("\n".join(lines) + "\n")
        text = " ".join(str(error).split()) or type(error).__name__
        write_json(
            folder / "failed.json",
            {"error": f"{type(error).__name__}: {text}", "trace": lines[-_TRACE_LINES:], "time": time.time()},
        )
        return 1
    return 0


def work(folder: Path, device: str) -> None:
    """Do what is left to do of a run.

    Args:
        folder: with run.json.
        device: as for --device.

    Raises:
        ValueError: if the folder has no run.json, or the code is not that of the plan any more.
        OSError: if something cannot be written.
    """
    run = read_json(folder / "run.json")
    if run is None:
        raise ValueError(f"{folder}: has no run.json; study.py writes it")
    from models.catalog.mechanisms import load_plugin

    for plugin in run["plugins"]:
        load_plugin(plugin)
    if read_json(folder / "trained.json") is None:
        if code_hash(TRAINING_CODE, run["mechanisms"]) != run["code"]:
            raise ValueError("the code changed while the study was running; start study.py again")
        trained_now = train(folder, run, device)
        write_json(folder / "trained.json", {**(_memory() if trained_now else {}), "threads": run["threads"]})
    done = read_json(folder / "done.json")
    if done is None or done.get("eval_key") != run["eval_key"]:
        from study.execute.measure import measure

        for which in ("last", "best"):
            weights = folder / "train" / "weights" / f"{which}.pt"
            measure(weights, run["data"], run["split"], folder / which, run["options"], device)
        write_json(folder / "done.json", {"key": run["key"], "eval_key": run["eval_key"], "time": time.time()})


def train(folder: Path, run: dict[str, Any], device: str) -> bool:
    """Train a run to its end, from wherever it stands.

    Args:
        folder: of the run.
        run: content of run.json.
        device: as for --device.

    Returns:
        Whether there was anything left to train.
    """
    from engine.cli.train_flags import train_parser
    from engine.training.run import run_training
    from models.weights.checkpoint import read_checkpoint, save_checkpoint

    last = folder / "train" / "weights" / "last.pt"
    content = read_checkpoint(last) if last.exists() else None
    if content is not None and "training" not in content:
        return False
    left = content is None or not _finished(content["training"])
    if left:
        argv = list(run["argv"]) if content is None else ["--resume", str(last)]
        options = train_parser().parse_args([*argv, *(["--device", device] if device else [])])
        options.demo = False  # what train.py means without any argument
        options.workers_given = "--workers" in argv
        run_training(options)
        content = read_checkpoint(last)
    assert content is not None  # noqa: S101 - training has written it
    content.pop("training")  # two thirds of the file, and nothing needs it any more
    save_checkpoint(last, content)
    return left


def _finished(state: dict[str, Any]) -> bool:
    """Tell whether a checkpoint is of the last epoch: a kill after it leaves nothing to train."""
    return bool(state["stopped"]) or state["epoch"] + 1 >= state["epochs"]


def _memory() -> dict[str, Any]:
    """Return the most memory that this process had at any time, in MiB, and of which kind."""
    import torch

    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return {"memory_mib": torch.cuda.max_memory_allocated() / 2**20, "memory": torch.cuda.get_device_name()}
    if sys.platform == "win32":
        import psutil

        return {"memory_mib": psutil.Process().memory_info().peak_wset / 2**20, "memory": "whole process"}
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"memory_mib": peak / (2**20 if sys.platform == "darwin" else 2**10), "memory": "whole process"}


def _end_with_parent() -> None:
    """Let the system end this process when the one that started it is killed (Linux; elsewhere it finishes its run)."""
    if sys.platform.startswith("linux"):
        parent = os.getppid()
        death_signal = 1  # PR_SET_PDEATHSIG of prctl(2)
        ctypes.CDLL(None).prctl(death_signal, signal.SIGKILL)
        if os.getppid() != parent:  # it was killed in between
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
