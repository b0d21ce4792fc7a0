"""Build a detector from a YAML, or load one from a checkpoint."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from models.errors import CheckpointError
from models.forks.norms import take_norms
from models.network.detector import Detector
from models.reparameterization import PLAIN, deploy_spec, reparameterize
from models.source import Source, read_source
from models.spec.attention_entries import starting
from models.spec.base_files import describe
from models.spec.model_spec import ModelSpec, read_spec
from models.weights.transfer.plan import TransferReport, apply_transfer, plan_transfer
from models.weights.yolov5_names import to_ours
from models.weights.yolov7_names import from_flat, has_blocks, is_flat, to_flat

CHECKPOINTS = (".pt", ".pth", ".safetensors")


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


def transfer(source: Source, detector: Detector) -> TransferReport:
    """Take over the tensors that correspond; the report is returned and kept as `detector.transfer_report`."""
    target = detector.state_dict()
    source = _in_form_of(source, detector)
    report = plan_transfer(
        source.spec.layers if source.spec else source.layers or None,
        detector.spec.layers,
        source.state,
        {key: tuple(value.shape) for key, value in target.items()},
        source.names,
        detector.names,
        (source.spec.ch if source.spec else 3, detector.spec.ch),
    )
    apply_transfer(report, source.state, target)
    said = source.spec.yaml.get("batch_norm") if source.spec else None
    origins = [(key, origin) for key, (origin, _) in report.copies.items()]
    take_norms(detector, origins, source.norms, tuple(said) if said else None)
    detector.transfer_report = report
    return report


def load_model(path: str | Path, nc: int | None = None) -> Detector:
    """Load any readable checkpoint: ours, official YOLOv5 or YOLOv7, ultralytics'.

    Args:
        path: the file, or a folder in Hugging Face's layout.
        nc: number of classes for a new head; by default the file's own.

    Returns:
        The detector, in eval mode.

    Raises:
        CheckpointError: if the file cannot be read, or describes no model of ours.
    """
    source = read_source(path)
    if source.spec is None:
        raise CheckpointError(f"{path}: {source.reason}; say which model it is: build_model(cfg, weights=…) or --cfg")
    if nc is not None and nc != source.spec.nc:
        spec = read_spec(source.spec.yaml, nc=nc)
        detector = Detector(spec, hyp=source.hyp)
        transfer(source, detector)
        detector.trained_imgsz = source.trained_imgsz
        return detector.eval()
    detector = Detector(source.spec, source.names if len(source.names) == source.spec.nc else None, source.hyp)
    load_exactly(detector, source.state, str(path))
    detector.trained_imgsz = source.trained_imgsz
    return detector.eval()


def import_official(state_dict: Mapping[str, Tensor], cfg: Any, hyp: Mapping[str, float] | None = None) -> Detector:
    """Build a detector of ours with the tensors of the original repositories.

    Args:
        state_dict: tensors under the original names, such as "model.24.m.0.weight".
        cfg: one of our YAMLs, such as "yolov5n" or "yolov7-w6".
        hyp: loss gains and thresholds.

    Returns:
        The detector, in eval mode.

    Raises:
        CheckpointError: if a tensor is missing, left over or of another shape.
    """
    state = to_ours(state_dict)
    spec = read_spec(cfg)
    if spec.head.module in PLAIN and not any(".ia." in key for key in state):
        spec = deploy_spec(spec, merge=any(".rbr_reparam." in key for key in state))
    if is_flat(state, spec.layers):
        state = from_flat(state, spec.layers, _shapes(Detector(spec)))
    spec = _fitting(spec, state)
    detector = Detector(spec, hyp=hyp)
    load_exactly(detector, state, spec.label)
    return detector.eval()


def load_exactly(detector: Detector, state: Mapping[str, Tensor], label: str) -> None:
    """Load tensors that must all be there and all fit.

    Raises:
        CheckpointError: naming the first tensors that do not.
    """
    own = detector.state_dict()
    missing = [key for key in own if key not in state and not key.endswith("num_batches_tracked")]
    left_over = [key for key in state if key not in own]
    wrong = [
        f"{key} {tuple(state[key].shape)} for {tuple(own[key].shape)}"
        for key in own
        if key in state and state[key].shape != own[key].shape
    ]
    for what, keys in (("misses", missing), ("has left over", left_over), ("has of another shape", wrong)):
        if keys:
            more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
            found = f"{', '.join(keys[:3])}{more}"
            raise CheckpointError(f"{label}: the checkpoint {what} {found}; {_where(detector, keys[0])}")
    detector.load_state_dict(state, strict=False)


def _where(detector: Detector, key: str) -> str:
    """Say which row a tensor belongs to, and what to do."""
    _, _, rest = key.partition(".")
    layers = {layer.name: layer for layer in detector.spec.layers}
    layer = layers.get(rest.partition(".")[0])
    if layer is None:
        return "the description has no such row; give the description that it was trained with as --cfg"
    used = [layer.attention] if layer.attention else [inner.attention for inner in layer.inside]
    if used:
        return (
            f"its row {layer.name}, {layer.module}, is built otherwise than any {layer.module} that is known here: "
            "give its class as --plugin FILE, or take the other layers with --cfg and --weights"
        )
    return f"its row {layer.name}, {layer.module}, is built otherwise: give the description that it was trained with"


def _in_form_of(source: Source, detector: Detector) -> Source:
    """Return a YOLOv7 checkpoint in the form of the detector: deploy or training, flat rows or blocks."""
    spec, layers = source.spec, detector.spec.layers
    if spec and spec.head.module in PLAIN and detector.spec.head.module == "PlainDetect":
        trained = Detector(spec)
        load_exactly(trained, source.state, str(source.path))
        merge = any(".rbr_reparam." in key for key in detector.state_dict())
        deployed = reparameterize(trained, merge=merge)
        source = replace(source, spec=deployed.spec, state=deployed.state_dict())
        spec = deployed.spec
    renamed: Mapping[str, Tensor] = {}
    if is_flat(source.state, layers):
        renamed = from_flat(source.state, layers, _shapes(detector))
    elif spec and has_blocks(spec.layers) and not has_blocks(layers):
        renamed = to_flat(source.state, spec.layers, _shapes(detector))
    found = sum(key.startswith("model.") for key in renamed)
    if 2 * found <= len(renamed) or not renamed:
        return source  # another family
    return replace(source, spec=None, layers=(), state=renamed)


def _shapes(detector: Detector) -> dict[str, tuple[int, ...]]:
    return {key: tuple(value.shape) for key, value in detector.state_dict().items()}


def _description(source: Source) -> Mapping[str, Any]:
    """Return the description in a checkpoint.

    Raises:
        CheckpointError: if there is none.
    """
    if source.spec is None:
        raise CheckpointError(f"{source.path}: {source.reason}; give a YAML such as yolov5n")
    return source.spec.yaml


def _fitting(spec: ModelSpec, state: Mapping[str, Tensor]) -> ModelSpec:
    """Return the spec with the number of classes that the tensors of an anchor head have."""
    weight = state.get(f"model.{spec.head.name}.m.0.weight")
    if spec.anchors is None or weight is None:
        return spec
    classes = weight.shape[0] // (len(spec.anchors[0]) // 2) - 5
    return spec if classes == spec.nc else read_spec(spec.yaml, nc=classes)
