"""Say how to repeat a study, and what it was made with."""

import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from data.folders import ROOT
from engine.training.run_state import current_commit
from study.plan.plan import Plan
from study.plan.run import train_argv

RUNS = 3  # commands that are written out; the others differ in seed and model, and those that have flags of their own


def recipe(plan: Plan) -> str:
    """Return how to repeat the study, and what it was made with."""
    lines = [
        f"python study.py {_quoted(_portable(str(plan.spec.file.absolute())))}",
        "",
        f"commit {current_commit() or 'unknown'}; Python {platform.python_version()}, torch {torch.__version__}, "
        f"ultralytics {version('ultralytics')}; {platform.system()} {platform.machine()}",
        *(
            f"{name}: {plan.sizes[name]} images, SHA-256 of images and boxes {plan.fingerprints[name][:16]}"
            for name in ("train", "val", plan.split)
        ),
        "",
        "Each run is such a command; the models lie beside the report in models/:",
    ]
    own = [run for run in plan.runs[RUNS : len(plan.models)] if plan.flags(run.variant) != plan.spec.train]
    for run in plan.runs[:RUNS] + own:
        lines.append(f"python train.py {' '.join(_quoted(_portable(argument)) for argument in run.argv)}")
    return "\n".join(lines)


def flags_text(flags: Mapping[str, Any]) -> str:
    """Return a variant's own flags as arguments of a command line; switches that are off are named too."""
    off = [f"without --{name.replace('_', '-')}" for name, value in flags.items() if value is False]
    return ", ".join([" ".join(map(_portable, train_argv(flags))), *off]).strip(", ")


def spec_text(plan: Plan) -> str:
    """Return the spec as it was written when the study was started."""
    return plan.spec.source


def _quoted(argument: str) -> str:
    return f'"{argument}"' if " " in argument or not argument else argument


def _portable(argument: str) -> str:
    """Return a path relative to the checkout or the folder it is run from, or its name: reports are passed on."""
    path = Path(argument)
    if not path.is_absolute():
        return argument
    for folder in (ROOT, Path.cwd()):
        if path.is_relative_to(folder):
            return path.relative_to(folder).as_posix()
    return path.name
