"""Put a checkpoint's tensors into a detector: those that correspond, or all of them exactly."""

from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor

from models.errors import CheckpointError
from models.forks.norms import take_norms
from models.network.detector import Detector
from models.reparameterization import PLAIN, reparameterize
from models.source import Source
from models.weights.transfer.plan import TransferReport, apply_transfer, plan_transfer
from models.weights.yolov7_names import from_flat, has_blocks, is_flat, to_flat


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
        renamed = from_flat(source.state, layers, tensor_shapes(detector))
    elif spec and has_blocks(spec.layers) and not has_blocks(layers):
        renamed = to_flat(source.state, spec.layers, tensor_shapes(detector))
    found = sum(key.startswith("model.") for key in renamed)
    if 2 * found <= len(renamed) or not renamed:
        return source  # another family
    return replace(source, spec=None, layers=(), state=renamed)


def tensor_shapes(detector: Detector) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor, by its name."""
    return {key: tuple(value.shape) for key, value in detector.state_dict().items()}
