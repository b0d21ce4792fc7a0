"""Load a detector from a checkpoint of any readable kind."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from models.errors import CheckpointError
from models.network.detector import Detector
from models.reparameterization import PLAIN, deploy_spec
from models.source import read_source
from models.spec.model_spec import ModelSpec, read_spec
from models.weight_loading import load_exactly, tensor_shapes, transfer
from models.weights.yolov5_names import to_ours
from models.weights.yolov7_names import from_flat, is_flat


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
        state = from_flat(state, spec.layers, tensor_shapes(Detector(spec)))
    spec = _fitting(spec, state)
    detector = Detector(spec, hyp=hyp)
    load_exactly(detector, state, spec.label)
    return detector.eval()


def _fitting(spec: ModelSpec, state: Mapping[str, Tensor]) -> ModelSpec:
    """Return the spec with the number of classes that the tensors of an anchor head have."""
    weight = state.get(f"model.{spec.head.name}.m.0.weight")
    if spec.anchors is None or weight is None:
        return spec
    classes = weight.shape[0] // (len(spec.anchors[0]) // 2) - 5
    return spec if classes == spec.nc else read_spec(spec.yaml, nc=classes)
