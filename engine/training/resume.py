"""Resume a run (--resume, torchrun's restarts): find its checkpoint, and refuse it where data or model changed."""

import hashlib
import json
from argparse import Namespace
from pathlib import Path
from typing import Any

import torch

from data.folders import expand_home
from engine.cli.run_folder import latest_checkpoint
from engine.cli.train_flags import train_parser
from engine.errors import UsageError
from engine.runtime import distributed
from engine.runtime.log import LOGGER

CHANGEABLE = frozenset({"device", "workers", "cache"})  # flags that do not change what comes out
FINDING = frozenset("resume project name exist_ok plugin demo".split())  # which run is meant, and what it may run


def continue_run(options: Namespace, epochs: int | None = None) -> tuple[Namespace, dict[str, Any], Path]:
    """Return the flags, the state and the folder of the run to continue.

    The first process reads the file; the others, perhaps on other machines, get its content from there.

    Args:
        options: flags of train.py.
        epochs: --epochs where it was given: a run that was planned for fewer goes on to them.

    Raises:
        UsageError: if there is none, or it is finished.
        CheckpointError: if its file cannot be read.
    """
    path, content = distributed.from_first(lambda: _read(options, epochs))
    training = content["training"]
    usual = vars(train_parser().parse_args([]))
    saved = Namespace(**{**usual, **training["options"]})
    if saved.plugin and not options.plugin:
        raise UsageError(
            f"--resume {path}: the run uses mechanisms of your own; add --plugin {' --plugin '.join(saved.plugin)} "
            "(a checkpoint never runs code by itself)"
        )
    saved.plugin = options.plugin
    saved.resume, saved.exist_ok, saved.demo = str(path), True, False
    asked = vars(options)
    given = {name: asked[name] for name in usual.keys() - FINDING if asked[name] != usual[name]}
    if asked.get("workers_given"):  # the usual number too, where it is asked for
        given["workers"] = asked["workers"]
    for name in CHANGEABLE & set(given):
        setattr(saved, name, given[name])
    _find_data(saved, given, path)
    _do_without_files(saved, training, path.parents[1])
    planned = training["epochs"]
    if epochs is not None and epochs > planned:
        saved.epochs = epochs
        LOGGER.info(
            f"--epochs {epochs}: the run was planned for {planned}; learning rate and closing of mosaic go on "
            f"from epoch {training['epoch'] + 2} as in a run of {epochs}"
        )
    ignored = sorted(name for name in set(given) - CHANGEABLE if given[name] != getattr(saved, name))
    if ignored:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in ignored)
        LOGGER.warning(f"--resume goes on with the run's own flags: {flags} ignored; to change them start a new run")
    LOGGER.info(f"continuing {path.parents[1]} after {training['epoch'] + 1} of {saved.epochs} epochs")
    return saved, content, path.parents[1]


def _find_data(saved: Namespace, given: dict[str, Any], path: Path) -> None:
    """Take the data from where --data says they lie now, if they are not where the run had them.

    That they are the same is made sure when they have been read, see `check_unchanged`.

    Args:
        saved: the run's flags.
        given: flags of the command line that differ from the usual ones.
        path: of the checkpoint.

    Raises:
        UsageError: if they are not there, and the command line does not say where they are.
    """
    from data import DataError, read_config

    if saved.data is None:
        return
    try:
        read_config(saved.data, saved.data_root)
    except DataError as error:
        if not given.keys() & {"data", "data_root"}:
            raise UsageError(
                f"--resume {path}: the run's data cannot be read: {error}; if they lie elsewhere now, add --data YAML"
            ) from None
        saved.data, saved.data_root = given.get("data", saved.data), given.get("data_root")
        LOGGER.info(f"the run's data are not where they were; reading them from {saved.data}")


def _do_without_files(saved: Namespace, training: dict[str, Any], folder: Path) -> None:
    """Let the run itself say what files of the user's said that are gone: its model, and its hyperparameters.

    Args:
        saved: the run's flags.
        training: state of the run, whose fingerprint of the model YAML then has nothing to be compared with.
        folder: of the run.
    """
    from engine.training.hyperparameters import find
    from models.errors import SpecError
    from models.spec.base_files import locate

    if saved.hyp and (folder / "hyp.yaml").is_file():
        try:
            find(saved.hyp)
        except UsageError:
            LOGGER.info(f"{saved.hyp} is gone; its values stand in {folder / 'hyp.yaml'}")
            saved.hyp = str(folder / "hyp.yaml")
    if saved.cfg and Path(saved.cfg).suffix in (".yaml", ".yml"):
        try:
            locate(saved.cfg, Path.cwd())
        except SpecError:
            LOGGER.info(f"{saved.cfg} is gone; the model is the one that the run holds")
            saved.cfg = ""
            training["fingerprints"].pop("cfg", None)


def _read(options: Namespace, epochs: int | None) -> tuple[Path, dict[str, Any]]:
    from models.errors import CheckpointError
    from models.weights.checkpoint import is_ours, read_checkpoint

    path = latest_checkpoint(options.project) if options.resume is True else expand_home(options.resume)
    path = path / "weights" / "last.pt" if path.is_dir() else path
    if not path.is_file():
        raise UsageError(f"--resume {path}: there is no such file; give RUN/weights/last.pt")
    try:
        content = read_checkpoint(path)
    except CheckpointError:
        if is_ours(path):  # damaged, say
            raise
        raise UsageError(
            f"--resume {path}: holds no run; give RUN/weights/last.pt, or start a new run with --weights {path}"
        ) from None
    training = content.get("training")
    if training is None:
        raise UsageError(
            f"--resume {path}: holds weights only; give the run's last.pt, or start anew with --weights {path}"
        )
    if _finished(training, epochs):
        done, planned = training["epoch"] + 1, training["epochs"]
        if done < planned:
            how = f"its --patience ended it; to train further start a new run with --weights {path}"
        else:
            how = f"to train it further add --epochs N with N above {planned}, or start a new run with --weights {path}"
        raise UsageError(f"--resume {path}: the run is finished ({done} of {planned} epochs); {how}")
    return path.resolve(), content


def _finished(training: dict[str, Any], epochs: int | None = None) -> bool:
    """Tell whether nothing is left to do: it stopped early, or has done what was planned and is asked for."""
    done = training["epoch"] + 1
    if done >= training["epochs"]:
        return done >= (epochs or 0)
    return bool(training["stopped"])


def resume_after_restart(options: Namespace, epochs: int | None = None) -> None:
    """Let the flags name the run that was begun before torchrun restarted the processes.

    Args:
        options: flags of train.py.
        epochs: --epochs where it was given.

    Raises:
        SystemExit: with code 0, if that run had done its last epoch.
    """
    state = distributed.from_first(lambda: _begun(epochs if options.resume else None))
    if state is None:
        return
    folder, resumable, finished = state
    if finished:
        LOGGER.info(f"{folder}: the run had done its last epoch when it was restarted; nothing is left to do")
        raise SystemExit(0)
    options.project, options.name, options.exist_ok = str(folder.parent), folder.name, True
    options.resume = str(folder / "weights" / "last.pt") if resumable else False


def _begun(epochs: int | None) -> tuple[Path, bool, bool] | None:
    """Return the folder of the run before a restart, whether it can be continued, and whether it is finished."""
    from models.weights.checkpoint import read_checkpoint

    name = distributed.remembered_folder()
    if name is None:
        return None
    last = Path(name) / "weights" / "last.pt"
    if not last.is_file():
        return Path(name), False, False
    return Path(name), True, _finished(read_checkpoint(last)["training"], epochs)


def take_over_threads(content: dict[str, Any], device: torch.device, precision: str) -> None:
    """Take the number of threads that a run had, on which sums depend; say what else will not be the same.

    Args:
        content: of its last.pt.
        device: of the continued run.
        precision: what that computes in.
    """
    threads = content["training"]["threads"]
    if device.type == "cpu" and threads != torch.get_num_threads():
        torch.set_num_threads(threads)
    now = {"torch": str(torch.__version__), "precision": precision}
    was = content["provenance"]
    changed = [f"{key} was {was.get(key)}, is {value}" for key, value in now.items() if was.get(key) != value]
    if changed:
        LOGGER.warning(f"the run goes on, but not to the bit as it would have: {'; '.join(changed)}")


def fingerprint(content: Any) -> str:
    """Return the fingerprint of plain content: a hash, the same for equal content."""
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def check_unchanged(content: dict[str, Any], fingerprints: dict[str, str], options: Namespace) -> None:
    """Refuse to continue a run with other data, another model or other hyperparameters.

    Args:
        content: of its last.pt.
        fingerprints: name of each → its fingerprint now.
        options: the run's flags.

    Raises:
        UsageError: if one of them changed.
    """
    files = {"train": options.data, "val": options.data, "cfg": options.cfg, "hyp": options.hyp}
    saved = content["training"]["fingerprints"]
    changed = [f"{name} ({files[name]})" for name, value in saved.items() if fingerprints.get(name) != value]
    if changed:
        raise UsageError(
            f"--resume: changed since this run began: {', '.join(changed)}; put it back, "
            f"or start a new run with --weights {options.resume}"
        )
