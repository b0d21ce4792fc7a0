"""Kill a training again and again and continue it: kills.py DATA.yaml FOLDER [--kills 50] [FLAGS of train.py].

Everything is imported once; each life is a fork of this process, so that it begins at once. Some kills wait for the
moment at which a checkpoint is being written. Whenever the run has ended it is compared with an undisturbed one, and
begun anew.
"""

import argparse
import json
import os
import random
import signal
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
os.environ["OMP_NUM_THREADS"] = "1"

import torch

import engine.training.run  # noqa: F401 - imported before the forks
from engine.cli.main import main

EPOCHS = 8
DEADLINE = 1800.0  # seconds in which an undisturbed life has long ended
FIXED = ["--cfg=yolov5n", "--weights=", "--attention=SKAttention@neck.P3", "--imgsz=64", "--batch-size=8"]
FIXED += [f"--epochs={EPOCHS}", "--noplots", "--noautoanchor", "--device=cpu", "--amp=auto", "--exist-ok"]


def live(argv, log):
    """Start a life; returns its process id."""
    pid = os.fork()
    if pid:
        return pid
    with log.open("ab", buffering=0) as stream:
        for number in (1, 2):
            os.dup2(stream.fileno(), number)
    code = 1
    try:
        code = main("train", argv)
    finally:
        sys.stdout.flush()
        os._exit(code)


def ended(pid, seconds, until=lambda: False):
    """Wait for a life to end by itself, at most some seconds or until something is so; its exit code or None."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not until():
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.001)
    return None


def leaves(value, path=""):
    """Flatten nested dicts and lists."""
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(inner, f"{path}/{key}")
    else:
        yield path, value


def differences(one, other):
    """Names of tensors of last.pt and best.pt, and lines of results.csv but for their times, that are not the same."""
    found = []
    for name in ("last", "best"):
        first, second = (
            dict(leaves(torch.load(run / "weights" / f"{name}.pt", weights_only=True))) for run in (one, other)
        )
        tensors = {key for side in (first, second) for key, value in side.items() if isinstance(value, torch.Tensor)}
        found += [f"{name}{key}" for key in sorted(tensors) if not equal(first.get(key), second.get(key))]
    tables = [(run / "results.csv").read_text().splitlines() for run in (one, other)]
    rows = [[[*row.split(",")[:1], *row.split(",")[2:]] for row in table] for table in tables]
    return found + [f"results.csv:{number}" for number in range(EPOCHS + 1) if rows[0][number] != rows[1][number]]


def equal(first, second):
    """Whether both are the same tensor."""
    return isinstance(first, torch.Tensor) and isinstance(second, torch.Tensor) and torch.equal(first, second)


def torment(data, folder, kills, seed=0, flags=()):
    """Train undisturbed, then kill and continue, with flags of train.py besides; returns what happened."""
    rng = random.Random(seed)
    argv = [*FIXED, *flags, f"--data={data}", f"--project={folder}"]
    log = folder / "log.txt"
    begin = time.monotonic()
    if ended(live([*argv, "--name=whole"], log), DEADLINE) != 0:
        raise RuntimeError(log.read_text()[-3000:])
    longest = time.monotonic() - begin  # of a life
    counts, wrong, done, rounds = Counter(), [], 0, 0
    while done < kills or rounds == 0:
        rounds += 1
        run = folder / f"cut{rounds}"
        last, draft = run / "weights" / "last.pt", run / "weights" / ".last.pt.tmp"
        finished = False
        while not finished:
            again = [f"--resume={last}"] if last.exists() else [*argv, f"--name={run.name}"]
            draft.unlink(missing_ok=True)  # of an earlier life; the next write would take its place
            pid = live(again, log)
            if done == kills:
                code = ended(pid, DEADLINE)
            elif done % 5 == 4:
                code = ended(pid, DEADLINE, draft.exists)
                code = ended(pid, rng.uniform(0, 0.03)) if code is None else code
            else:
                code = ended(pid, rng.uniform(0, longest))
            if code is None:
                counts["while a checkpoint was written"] += draft.exists()
                counts["before the first checkpoint"] += not last.exists()
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                done += 1
            # A run killed after its last epoch has nothing left to do, and --resume says so.
            finished = code == 0 or (code == 2 and log.read_text().rstrip().splitlines()[-1].find("is finished") > 0)
            if code not in (None, 0) and not finished:
                raise RuntimeError(f"{again} ended with {code}:\n{log.read_text()[-3000:]}")
        wrong += [f"{run.name}: {name}" for name in differences(folder / "whole", run)]
    return {"kills": done, "rounds": rounds, "different": wrong, **counts}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    options, flags = parser.parse_known_args()
    begin = time.monotonic()
    result = torment(options.data, options.folder, options.kills, options.seed, flags)
    print(json.dumps({**result, "seconds": round(time.monotonic() - begin)}))
    sys.exit(bool(result["different"]))
