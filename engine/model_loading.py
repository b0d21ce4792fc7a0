"""Load or build the model of --weights, --cfg, --attention and --identity, and report the transfer of tensors."""

import json
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import UsageError
from engine.trusted_files import SUFFIXES, check

NOTHING_PLACED = "--identity says how placed attention starts, and none is placed: add --attention, or --cfg with some"
MOST_NOTES = 10  # lines on what a description was understood as


def load_weights(weights: Any, options: Namespace) -> Any:
    """Return what ultralytics' predictor and validator take: a Detector, or the path of an exported model.

    Args:
        weights: path or official name; a model is returned as it is.
        options: flags of the command: `download` (whether official weights that are not on disk may be fetched),
            `plugin`, `trust` (whether an exported model may be a program), and what to place on the checkpoint: `cfg`,
            `attention`, `identity`.

    Raises:
        UsageError: if an exported model cannot be loaded safely, or attention cannot be placed on these weights.
        SpecError: if a plugin cannot be loaded, or a placement does not fit the model.
        CheckpointError: if there is no such checkpoint, or it cannot be read safely.
    """
    placed = bool(options.cfg or options.attention)
    if options.identity and not placed:
        raise UsageError(NOTHING_PLACED)
    in_memory = not isinstance(weights, str | Path)
    exported = not in_memory and str(weights).rstrip("/").endswith(SUFFIXES)
    if placed and (in_memory or exported):
        raise UsageError("--attention and --cfg place on a checkpoint: give one as --weights")
    if in_memory:
        if not hasattr(weights, "names"):
            raise UsageError(
                f"weights: a {type(weights).__name__} is no model; give a path, an official name or a Detector"
            )
        return weights
    if exported:
        check(Path(weights), getattr(options, "trust", False))
        return str(weights).rstrip("/")
    from models import load_model
    from models.weights.download import resolve_weights

    load_plugins(options)
    path = resolve_weights(weights, options.download)
    return _with_attention(path, options) if placed else load_model(path)


def _with_attention(path: Path, options: Namespace) -> Any:
    """Place attention on a checkpoint, and say what became of its tensors.

    Raises:
        UsageError: if other tensors of the model than those of attention are not in the checkpoint: it would guess.
    """
    from engine.runtime.log import LOGGER
    from models.build import build_model
    from models.source import read_source

    source = read_source(path)
    detector = build_model(
        options.cfg or path,
        nc=source.spec.nc if source.spec else len(source.names) or None,
        ch=source.spec.ch if source.spec else None,
        attention=options.attention,
        weights=source,
        identity=True if options.identity else None,
        hyp=source.hyp,
    )
    _say_how_understood(options.cfg, detector.spec.warnings)
    report: Any = detector.transfer_report
    LOGGER.info(f"{path}: {report.summary()}")
    attention = tuple(f"{name}." for name in detector.attention_names())
    own = [name for name in report.new if not name.startswith(attention)]
    left = [*own, *report.missing, *report.mismatched]
    if left:
        raise UsageError(
            f"--weights {path}: {len(left)} tensors of {detector.spec.label} are not in it, first {left[0]} "
            f"({report.reasons[left[0]]}); train that model first: train.py with the same --weights and --cfg"
        )
    return detector.eval()


@dataclass(frozen=True)
class Start:
    """Hold what a training run starts from, before the number of classes is known.

    Attributes:
        source: the checkpoint, read; None from scratch.
        spec: the model, of the description's own number of classes.
    """

    source: Any
    spec: Any


def read_start(options: Namespace) -> Start:
    """Read weights and description of a training run, which tells what is wrong with them before data are read.

    Args:
        options: flags of train.py.

    Raises:
        SpecError, CheckpointError: if the input is wrong.
    """
    from models.build import start_spec
    from models.source import read_source
    from models.weights.download import resolve_weights

    weights = resolve_weights(options.weights, options.download) if options.weights else None
    source = read_source(weights) if weights is not None else None
    _warn_of_stale_references(options.cfg)
    identity = True if options.identity else None
    return Start(source, start_spec(options.cfg or str(weights), source, options.attention, identity=identity))


def start_model(options: Namespace, info: dict[str, Any], start: Start | None = None) -> Any:
    """Build the model that a training run starts from, and report what was taken over from the weights.

    Args:
        options: flags of train.py.
        info: data dictionary from `engine.datasets.record_dataset.describe`.
        start: from `read_start`, where that was called before.

    Raises:
        UsageError: with --strict-transfer, if unchanged tensors were not taken over; if the report cannot be written.
        SpecError, CheckpointError: if the input is wrong.
    """
    from engine.runtime.log import LOGGER
    from models import build_model
    from models.source import CHECKPOINTS

    if options.transfer_report and not options.weights:
        raise UsageError("--transfer-report says what is taken over from --weights; there are none")
    source = (start or read_start(options)).source
    model = build_model(
        options.cfg or str(source.path),
        nc=info["nc"],
        ch=info.get("channels", 3),
        attention=options.attention,
        weights=source,
        identity=True if options.identity else None,
        seed=options.seed,
        names=info["names"],
    )
    _say_how_understood(options.cfg, model.spec.warnings)
    described = (
        options.cfg and Path(options.cfg).suffix not in CHECKPOINTS
    )  # a checkpoint's own attention stays as it is
    if options.identity and not options.attention and not (described and model.attention_names()):
        raise UsageError(NOTHING_PLACED)
    if source is not None:
        report: Any = model.transfer_report
        LOGGER.info(f"{source.path}: {report.summary()}")
        if options.transfer_report:
            _write_report(report, Path(options.transfer_report))
            LOGGER.info(f"every tensor is listed in {options.transfer_report}")
        if options.strict_transfer and not report.complete:
            left = [*report.missing, *report.lost]
            raise UsageError(
                f"--strict-transfer: {len(left)} unchanged tensors were not taken over, first {left[0]}; "
                "leave it out to train all the same, --transfer-report FILE lists them with the reasons"
            )
    return model


def _warn_of_stale_references(cfg: str | None) -> None:
    """Say which references of a hand-edited YAML still count rows as the file that it was made from does."""
    from engine.runtime.log import LOGGER
    from models.errors import SpecError
    from models.lint.nearest_base import stale_references
    from models.source import CHECKPOINTS

    if not cfg or Path(cfg).suffix in CHECKPOINTS:
        return
    try:
        base, lines = stale_references(cfg)
    except SpecError:  # building the model says it
        return
    for line in lines:
        LOGGER.warning(f"{cfg} {line}")
    if lines:
        LOGGER.warning(
            f"{cfg}: rows were inserted by hand; python -m models.lint {cfg} --base {base} says what was meant"
        )


def _say_how_understood(cfg: str | None, notes: Sequence[str]) -> None:
    """Print what rows of --cfg that mean several layers are built as, and what a change of the head costs.

    Args:
        cfg: path or name; nothing is printed of a checkpoint, whose rows say what was built.
        notes: of the description, a line each.
    """
    from engine.runtime.log import LOGGER
    from models.source import CHECKPOINTS

    if not cfg or Path(cfg).suffix in CHECKPOINTS:
        return
    for note in notes[:MOST_NOTES]:
        LOGGER.info(f"note: {note}")
    if len(notes) > MOST_NOTES:
        LOGGER.info(f"… and {len(notes) - MOST_NOTES} more: python -m models.spec {cfg}")


def load_plugins(options: Namespace) -> None:
    """Run the files of --plugin, which register mechanisms.

    Raises:
        SpecError: if one of them cannot be used.
    """
    from models.catalog.mechanisms import load_plugin

    for plugin in options.plugin:
        load_plugin(plugin)


def _write_report(report: Any, path: Path) -> None:
    try:
        path.write_text(json.dumps(report.to_dict(), indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"--transfer-report {path}: cannot be written ({error.strerror or error})") from None
