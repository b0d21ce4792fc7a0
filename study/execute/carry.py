"""Take over finished runs of another folder: those whose recipe is the same, wherever they were made."""

import json
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from data.folders import expand_home
from engine.errors import UsageError
from models.errors import short
from study.execute.local import prepare, status
from study.plan.plan import Plan
from study.plan.run import NEEDED, Run, read_json

# What measuring anew reads; without them a run is small enough to keep beside its report.
WEIGHTS = ("train/weights/last.pt", "train/weights/best.pt")
# Parts of a recipe that are hashes or long, as messages call them.
CALLED = {
    "code": "the code that training runs, or a library's version",
    "names": "the class names",
    "plugins": "the plugins",
    "weights": "the weights that it starts from",
}


@dataclass
class Imported:
    """What became of the runs that were found.

    Attributes:
        taken: copied into this study.
        there: done here already.
        refused: label of a run → why.
        others: finished runs of variants or seeds that this study does not have.
    """

    taken: list[Run] = field(default_factory=list)
    there: list[Run] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    others: int = 0


def import_runs(plan: Plan, folder: str | Path) -> Imported:
    """Copy finished runs whose recipe is that of a run of this study; the folder they come from is only read.

    Args:
        plan: with its runs addressed.
        folder: of a study, or any folder above runs.

    Raises:
        UsageError: if there are no finished runs, or none of them fits.
        OSError: if one cannot be read or written.
    """
    source = expand_home(folder)
    if not source.is_dir():
        raise UsageError(f"--import {folder}: no such folder; give that of a study, such as runs/study/NAME")
    by_key = {run.key: run for run in plan.runs}
    by_label = {(run.variant, run.seed): run for run in plan.runs}
    found, imported = False, Imported()
    for theirs, content, done in _finished(source):
        found = True
        run = by_key.get(str(content.get("key")))
        if run is not None:
            _take(plan, run, theirs, content, done.get("eval_key") == run.eval_key, imported)
            continue
        variant, seed = content.get("variant"), content.get("seed")
        same = by_label.get((variant, seed)) if isinstance(variant, str) and isinstance(seed, int) else None
        if same is None:
            imported.others += 1
        else:
            imported.refused[f"{same.label} ({theirs.name})"] = "; ".join(
                differences(content.get("recipe"), same.recipe)
            )
    if not found:
        raise UsageError(f"--import {folder}: has no finished runs (folders with run.json and done.json)")
    if not imported.taken and not imported.there:
        reason = next((f"{label}: {why}" for label, why in imported.refused.items()), "it has other variants and seeds")
        raise UsageError(f"--import {folder}: no run of it fits this study; {reason}")
    return imported


def differences(theirs: Any, ours: Mapping[str, Any]) -> list[str]:
    """Name what two recipes differ in.

    Args:
        theirs: recipe of a run's run.json; None where it was made before recipes were written down.
        ours: of this study.
    """
    if not isinstance(theirs, Mapping):
        return ["its recipe differs, and it was made before runs wrote down of what it consists"]
    here = json.loads(json.dumps(ours, default=str))
    named: list[str] = []
    for key in sorted(here.keys() | theirs.keys()):
        a, b = theirs.get(key), here.get(key)
        if a == b:
            continue
        if key in CALLED or not (isinstance(a, Mapping) and isinstance(b, Mapping)):
            named.append(f"{CALLED.get(key, key)} differs")
            continue
        inner = [name for name in sorted(a.keys() | b.keys()) if a.get(name) != b.get(name)]
        if key in ("options", "hyp"):
            named += [f"{name} is {short(a.get(name))} there, {short(b.get(name))} here" for name in inner]
        else:
            named.append(f"{key} differs in {', '.join(inner)}")
    return named or ["its recipe differs"]


def _finished(source: Path) -> Iterator[tuple[Path, dict[str, Any], dict[str, Any]]]:
    """Yield the folders of finished runs, with what their run.json and done.json say."""
    for file in sorted(source.rglob("done.json")):
        content, done = read_json(file.parent / "run.json"), read_json(file)
        if content is not None and done is not None and done.get("key") == content.get("key"):
            yield file.parent, content, done


def _take(plan: Plan, run: Run, theirs: Path, content: Mapping[str, Any], measured: bool, imported: Imported) -> None:
    """Copy one run, whole or not at all; without its weights only if it is measured as this study measures."""
    if status(run) == "done":
        imported.there.append(run)
        return
    needed = NEEDED if measured else (*NEEDED, *WEIGHTS)
    missing = next((name for name in needed if not (theirs / name).is_file()), None)
    if missing:
        why = ", and it has to be measured anew" if missing in WEIGHTS else ""
        imported.refused[f"{run.label} ({theirs.name})"] = f"it is incomplete: there is no {missing}{why}"
        return
    if not _make_room(run):
        imported.refused[f"{run.label} ({theirs.name})"] = "another process is at this run"
        return
    copy = run.folder.with_name(f".{run.folder.name}-{time.time_ns()}")
    shutil.copytree(theirs, copy, ignore=_left_out)
    copy.rename(run.folder)
    threads = content.get("threads")
    prepare(plan, run, threads if isinstance(threads, int) else 1)
    imported.taken.append(run)


def _make_room(run: Run) -> bool:
    """Move an unfinished run of ours aside; False if a process works on it."""
    if not run.folder.exists():
        run.folder.parent.mkdir(parents=True, exist_ok=True)
        return True
    try:
        with FileLock(run.folder / "lock", timeout=0):
            pass
    except Timeout:
        return False
    run.folder.rename(run.folder.with_name(f"{run.folder.name}-unfinished-{time.time_ns()}"))
    return True


def _left_out(folder: str, names: list[str]) -> set[str]:
    """Return what is not copied: the lock, and all that is no plain file or folder."""
    paths = [Path(folder) / name for name in names]
    odd = {path.name for path in paths if path.is_symlink() or not (path.is_file() or path.is_dir())}
    return odd | ({"lock"} & set(names))
