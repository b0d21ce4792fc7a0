"""Build a detector from a YAML, or load one from a checkpoint."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from models.detector import Detector
from models.errors import CheckpointError
from models.spec import ModelSpec, read_spec
from models.weights.names import to_ours


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
    spec = _fitting(read_spec(cfg), state)
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
            raise CheckpointError(
                f"{label}: the checkpoint {what} {', '.join(keys[:3])}{more}; it belongs to another model"
            )
    detector.load_state_dict(state, strict=False)


def _fitting(spec: ModelSpec, state: Mapping[str, Tensor]) -> ModelSpec:
    """Return the spec with the number of classes that the tensors of an anchor head have."""
    weight = state.get(f"model.{spec.head.name}.m.0.weight")
    if spec.anchors is None or weight is None:
        return spec
    classes = weight.shape[0] // (len(spec.anchors[0]) // 2) - 5
    return spec if classes == spec.nc else read_spec(spec.yaml, nc=classes)
