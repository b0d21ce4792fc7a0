"""Build a detector from a YAML, or from a checkpoint's description, with pretrained weights where they are given."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from models.errors import CheckpointError
from models.network.detector import Detector
from models.source import CHECKPOINTS, Source, read_source
from models.spec.attention_entries import starting
from models.spec.base_files import describe
from models.spec.model_spec import ModelSpec, read_spec
from models.weight_loading import transfer


def build_model(
    cfg: str | Path | Mapping[str, Any],
    nc: int | None = None,
    ch: int | None = None,
    attention: Sequence[str | Mapping[str, Any]] = (),
    weights: str | Path | Source | None = None,
    identity: bool | None = None,
    seed: int = 0,
    *,
    names: Mapping[int, str] | None = None,
    hyp: Mapping[str, float] | None = None,
) -> Detector:
    """Build a detector, with pretrained weights where they are given.

    Args:
        cfg: path, name or content of a model YAML, or a checkpoint (.pt) whose model is meant.
        nc: number of classes; the description's by default.
        ch: channels of the image; the description's by default, which is 3 unless it says otherwise.
        attention: further placements, such as "CBAM@neck.P3,neck.P4".
        weights: checkpoint to take tensors from, read already or not; `.transfer_report` of the detector says what
            became of each.
        identity: whether placed attention starts as the identity; None follows the YAML. Attention that a checkpoint
            given as cfg has already stays what it is.
        seed: of the initial values.
        names: class names, by which rows of the head are matched; the checkpoint's where the number of classes is its
            own.
        hyp: loss gains and thresholds.

    Raises:
        SpecError: if the description does not fit together.
        CheckpointError: if the weights cannot be read.
    """
    source = read_source(weights) if isinstance(weights, str | Path) else weights
    spec = start_spec(cfg, source, attention, nc=nc, ch=ch, identity=identity)
    if names is None and source is not None and len(source.names) == spec.nc:
        names = source.names
    detector = Detector(spec, names, hyp, seed)
    if source is not None:
        transfer(source, detector)
        detector.trained_imgsz = source.trained_imgsz
    return detector


def start_spec(
    cfg: str | Path | Mapping[str, Any],
    source: Source | None,
    attention: Sequence[str | Mapping[str, Any]] = (),
    *,
    nc: int | None = None,
    ch: int | None = None,
    identity: bool | None = None,
) -> ModelSpec:
    """Return the resolved description of the model that `build_model` constructs from these arguments.

    Args:
        cfg: as for `build_model`, and so are the others.
        source: the checkpoint that tensors are taken from, None for initial values.
        attention: further placements.
        nc: number of classes.
        ch: channels of the image; the description's by default.
        identity: whether placed attention starts as the identity.

    Raises:
        SpecError: if the description does not fit together.
        CheckpointError: if cfg is a checkpoint that describes no model.
    """
    if isinstance(cfg, str | Path) and Path(cfg).suffix in CHECKPOINTS:
        same = source is not None and source.path == Path(cfg)
        cfg = _description(source if same and source else read_source(cfg))
        if identity is not None:
            attention, identity = starting(attention, identity), None
    elif source is not None:
        cfg = _as_trained(cfg, source)
    return read_spec(cfg, attention, nc=nc, ch=ch, identity=identity)


def _as_trained(cfg: str | Path | Mapping[str, Any], source: Source) -> str | Path | Mapping[str, Any]:
    """Return a description with what the checkpoint shows of its words and modules, if the checkpoint has its rows.

    What the description says itself stands.
    """
    if source.spec is None:
        return cfg
    description, shown = describe(cfg), source.spec.yaml
    if description.entries or any(description.data.get(key) != shown.get(key) for key in ("backbone", "head")):
        return cfg
    learned = {key: shown[key] for key in ("dialect", "batch_norm", "activation", "modules") if key in shown}
    if not set(learned) - set(description.data):
        return cfg
    return {**learned, **description.data, "yaml_file": description.label}


def _description(source: Source) -> Mapping[str, Any]:
    """Return the description in a checkpoint.

    Raises:
        CheckpointError: if there is none.
    """
    if source.spec is None:
        raise CheckpointError(f"{source.path}: {source.reason}; give a YAML such as yolov5n")
    return source.spec.yaml
