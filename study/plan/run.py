"""Describe one run of a study: command, folders, and what each run's result depends on."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data.files import file_hash, write_atomically
from engine.cli.train_flags import train_parser
from engine.errors import UsageError

# Nothing is drawn and nothing stops early: every run gets the whole budget.
DEFAULTS: Mapping[str, Any] = {"noplots": True, "patience": 0}
# What a report reads of a run.
NEEDED = (
    "trained.json",
    "train/results.csv",
    *(f"{which}/{name}" for which in ("last", "best") for name in ("metrics.json", "matches.npz", "boxes.npz")),
)


@dataclass(frozen=True)
class Run:
    """One training.

    Attributes:
        variant: name.
        seed: number.
        key: hash of everything that the trained weights depend on.
        eval_key: hash of everything that the measured numbers depend on beyond them.
        folder: where everything of this run lies.
        argv: arguments of train.py, without --device.
        epochs: of training.
        mechanisms: that its model uses.
        code: hash of the code that it is to be trained with.
        recipe: what `key` is the hash of, by part: contents and hashes of files, no paths.
    """

    variant: str
    seed: int
    key: str
    eval_key: str
    folder: Path
    argv: tuple[str, ...]
    epochs: int
    mechanisms: tuple[str, ...]
    code: str
    recipe: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @property
    def label(self) -> str:
        """How messages call it."""
        return f"{self.variant} seed {self.seed}"


def train_argv(flags: Mapping[str, Any]) -> list[str]:
    """Return flags as arguments of a command line: {"imgsz": 320, "rect": True} is --imgsz 320 --rect."""
    argv: list[str] = []
    for name, value in flags.items():
        flag = f"--{name.replace('_', '-')}"
        if value is True:
            argv.append(flag)
        elif value is not False and value is not None:
            argv += [flag, *(map(str, value) if isinstance(value, list | tuple) else [str(value)])]
    return argv


def train_options(flags: Mapping[str, Any], where: object) -> dict[str, Any]:
    """Read flags with train.py's own parser.

    Args:
        flags: by name with underscores; the study's defaults are added.
        where: what to name in messages.

    Returns:
        All options of train.py.

    Raises:
        UsageError: if train.py would not take them.
    """
    try:
        return dict(vars(train_parser().parse_args(train_argv({**DEFAULTS, **flags}))))
    except UsageError as error:
        raise UsageError(f"{where}: train: {error}") from None


def content_hash(content: Any) -> str:
    """Return the SHA-256 of plain values, whatever the order of their keys."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def write_whole(path: Path, text: str) -> None:
    """Write a file so that it is there whole or not at all, whenever the process is killed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text.encode())


def write_json(path: Path, content: Any) -> None:
    """Write plain values, whole or not at all."""
    write_whole(path, json.dumps(content, indent=1, ensure_ascii=False, default=str) + "\n")


def read_json(path: Path) -> dict[str, Any] | None:
    """Return what `write_json` wrote, None where there is nothing."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return content if isinstance(content, dict) else None


def hyp_content(name: str | None) -> dict[str, Any]:
    """Return what a hyperparameter file says.

    Args:
        name: as for --hyp; None for what all files say that a training takes where it names none, by file.

    Raises:
        UsageError, SpecError: if there is no such file, or it is none of hyperparameters.
    """
    from engine.training.hyperparameters import DEFAULTS, read_for_any

    return {default: read_for_any(default) for default in DEFAULTS} if name is None else read_for_any(name)


def with_kept_hyp(flags: Mapping[str, Any], folder: Path) -> Mapping[str, Any]:
    """Return flags that name a copy of a user's hyperparameter file: he may edit his own while the study runs.

    Args:
        flags: of train.py, by name with underscores.
        folder: of the study, which the copy goes to.
    """
    from engine.training.hyperparameters import FOLDER, find

    if not flags.get("hyp") or find(flags["hyp"]).parent == FOLDER:
        return flags
    file = find(flags["hyp"])
    copy = folder / "hyp" / f"{file.stem}-{file_hash(file)[:10]}.yaml"
    if not copy.exists():
        copy.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(copy, file.read_bytes())
    return {**flags, "hyp": str(copy)}
