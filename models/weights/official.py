"""Official YOLOv5, YOLOv7 and ultralytics checkpoints as plain tensors, without executing their pickles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from models.errors import CheckpointError
from models.weights.pickled_modules import PickledLayer, activation_settings, norm_settings, pickled_layers
from models.weights.safe_pickle.torch_file import TorchFile, open_torch_file
from models.weights.safe_pickle.values import Instance, TensorRef
from models.weights.safetensors_file import read_safetensors

_MAX_MODULES = 100_000  # yolov7-e6e has 1063; a pickle can name one module 2^n times by nesting
_MAX_DEPTH = 64

# Classes that only YOLOv7's models/common.py and models/yolo.py have.
_V7_ONLY = frozenset(
    {"IDetect", "IAuxDetect", "IBin", "ImplicitA", "ImplicitM", "RepConv", "MP", "SP", "SPPCSPC", "ReOrg", "DownC"}
)
_OTHER_TASKS = {
    "SegmentationModel": "segmentation",
    "ClassificationModel": "classification",
    "PoseModel": "pose estimation",
    "IKeypoint": "pose estimation",
    "OBBModel": "rotated boxes",
    "Segment": "segmentation",
    "ISegment": "segmentation",
    "Classify": "classification",
    "Pose": "pose estimation",
    "OBB": "rotated boxes",
}


@dataclass(frozen=True)
class OfficialCheckpoint:
    """A foreign checkpoint as plain data.

    `state` has the tensors (floating point ones as float32) under the file's own keys, `model.24.m.0.weight` and so on.
    `yaml` is the model description in the file, or None; `names` the class names by index (empty if the file has none);
    `nc` their number (0 if unknown); `stride` the head's strides in pixels (empty if unknown). `kind` is "yolov5",
    "yolov7", "ultralytics" or, for tensors that look like none of them, "other". `module_types` maps each module's
    prefix ("model.24", "" for the whole) to its class name and is empty for plain state dicts, as are `layers`, and
    `norms` and `activations`: eps and momentum of each batch normalisation and the text of each activation, by prefix.
    `imgsz` is the size in pixels that it was trained at, or None.
    """

    state: dict[str, torch.Tensor]
    yaml: dict[str, Any] | None = None
    names: dict[int, str] = field(default_factory=dict)
    nc: int = 0
    kind: str = "other"
    module_types: dict[str, str] = field(default_factory=dict)
    stride: tuple[float, ...] = ()
    imgsz: int | None = None
    layers: tuple[PickledLayer, ...] = ()
    norms: dict[str, tuple[float, float]] = field(default_factory=dict)
    activations: dict[str, str] = field(default_factory=dict)


def image_size(value: Any) -> int | None:
    """Return a stored image size, if it can be one; None for anything else."""
    return value if type(value) is int and 32 <= value <= 16384 else None


def _trained_size(root: Any) -> int | None:
    """Return the image size among the flags that YOLOv5 (`opt`) and ultralytics (`train_args`) keep in their files."""
    for key in ("opt", "train_args"):
        flags = root.get(key) if isinstance(root, dict) else None
        flags = flags.state if isinstance(flags, Instance) else flags
        if isinstance(flags, dict) and image_size(flags.get("imgsz")):
            return image_size(flags["imgsz"])
    return None


def read_official(path: str | Path) -> OfficialCheckpoint:
    """Read a YOLOv5 (v5 to v7.0), YOLOv7 or ultralytics .pt file, a plain state dict, or a .safetensors file.

    The exponential moving average (`ema`) is preferred over `model`, as the original loaders do.

    Args:
        path: the file.

    Raises:
        CheckpointError: if the file is missing, damaged, no checkpoint of a detector, or asks for anything beyond
            tensors, containers, numbers and module classes.
    """
    path = Path(path)
    if path.suffix == ".safetensors":
        state, _ = read_safetensors(path)
        return _from_state({key: _float(value) for key, value in state.items()})
    with open_torch_file(path, stand_ins=True) as file:
        found = _find_model(file)
        if isinstance(found, Instance):
            return replace(_from_module(file, found), imgsz=_trained_size(file.root))
        return _from_state({key: _float(file.tensor(ref)) for key, ref in found.items()})


def _find_model(file: TorchFile) -> Instance | dict[str, TensorRef]:
    """Return the module or the state dict to read: ema, model, state_dict, or the file's content itself."""
    candidates = [file.root]
    if isinstance(file.root, dict):
        candidates = [file.root.get(key) for key in ("ema", "model", "state_dict")] + [file.root]
    for candidate in candidates:
        if isinstance(candidate, Instance) and _children(candidate, "_modules"):
            return _unwrapped(candidate)
        if isinstance(candidate, dict) and candidate and all(type(key) is str for key in candidate):
            tensors = {key: value for key, value in candidate.items() if isinstance(value, TensorRef)}
            if len(tensors) == len(candidate):
                return tensors
    keys = [key for key in file.root if type(key) is str] if isinstance(file.root, dict) else []
    content = [repr(key[:40]) for key in keys[:8]] or [f"a {type(file.root).__name__}"]
    raise CheckpointError(
        f"{file.path}: holds {', '.join(content)} but no model; "
        "expected a checkpoint with 'ema', 'model' or a state dict"
    )


def _unwrapped(module: Instance) -> Instance:
    """Return the model inside (Distributed)DataParallel."""
    inner = _children(module, "_modules").get("module")
    return inner if module.cls.name.endswith("DataParallel") and isinstance(inner, Instance) else module


def _children(module: Instance, kind: str) -> dict[str, Any]:
    value = module.state.get(kind)
    return {key: item for key, item in value.items() if type(key) is str} if isinstance(value, dict) else {}


def _from_module(file: TorchFile, root: Instance) -> OfficialCheckpoint:
    modules = _walk(file, root)
    types = {prefix: module.cls.name.rpartition(".")[2] for prefix, module in modules.items()}
    for name in (types[""], *(name for prefix, name in types.items() if prefix.count(".") == 1)):
        if name in _OTHER_TASKS:
            raise CheckpointError(f"{file.path}: a model for {_OTHER_TASKS[name]} ({name}); this project detects")
    state: dict[str, torch.Tensor] = {}
    for prefix, module in modules.items():
        dot = f"{prefix}." if prefix else ""
        passing = module.state.get("_non_persistent_buffers_set")
        for kind in ("_parameters", "_buffers"):
            for key, ref in _children(module, kind).items():
                if isinstance(ref, TensorRef) and not (
                    kind == "_buffers" and isinstance(passing, set) and key in passing
                ):
                    state[dot + key] = _float(file.tensor(ref))
    if not state:
        raise CheckpointError(f"{file.path}: the model {root.cls} has no tensors; the file is damaged")
    yaml = _plain(root.state.get("yaml"))
    head = _head(modules)
    nc = _first_int(head.state.get("nc"), root.state.get("nc"), yaml.get("nc") if isinstance(yaml, dict) else None)
    names = _names(file, root.state.get("names"), nc)
    return OfficialCheckpoint(
        state=state,
        yaml=yaml if isinstance(yaml, dict) else None,
        names=names,
        nc=nc or len(names),
        kind=_kind(root, types),
        module_types=types,
        stride=_stride(file, head, root),
        layers=pickled_layers(modules),
        norms=norm_settings(modules),
        activations=activation_settings(modules),
    )


def _walk(file: TorchFile, root: Instance) -> dict[str, Instance]:
    """Return all modules by prefix, parents first, in the order of the state dict."""
    modules: dict[str, Instance] = {}
    pending: list[tuple[str, Instance, int]] = [("", root, 0)]
    while pending:
        prefix, module, depth = pending.pop()
        modules[prefix] = module
        if len(modules) + len(pending) > _MAX_MODULES or depth > _MAX_DEPTH:
            raise CheckpointError(f"{file.path}: modules nested without end; the file is damaged")
        children = [(key, child) for key, child in _children(module, "_modules").items() if isinstance(child, Instance)]
        pending += [(f"{prefix}.{key}" if prefix else key, child, depth + 1) for key, child in reversed(children)]
    return modules


def _head(modules: Mapping[str, Instance]) -> Instance:
    """Return the last layer of `model.model`, which is the head; the root where there is none."""
    rows = [prefix for prefix in modules if prefix.startswith("model.") and prefix.count(".") == 1]
    return modules[rows[-1]] if rows else modules[""]


def _kind(root: Instance, types: Mapping[str, str]) -> str:
    if root.cls.module.startswith("ultralytics."):
        return "ultralytics"
    if not root.cls.module.startswith("models."):
        return "other"
    return "yolov7" if _V7_ONLY & set(types.values()) else "yolov5"


def _names(file: TorchFile, value: Any, nc: int) -> dict[int, str]:
    """Return class names by index; files have a list, a dict, or nothing."""
    if isinstance(value, (list, tuple)):
        value = dict(enumerate(value))
    if not isinstance(value, dict) or not value:
        return {index: str(index) for index in range(nc)}
    names = {key: str(name) for key, name in value.items() if type(key) is int and type(name) in (str, int, float)}
    if sorted(names) != list(range(len(value))) or (nc and nc != len(names)):
        raise CheckpointError(f"{file.path}: {len(value)} class names for {nc} classes; the file is damaged")
    return dict(sorted(names.items()))


def _stride(file: TorchFile, *modules: Instance) -> tuple[float, ...]:
    for module in modules:
        value = module.state.get("stride")
        value = value if isinstance(value, TensorRef) else _children(module, "_buffers").get("stride")
        if isinstance(value, TensorRef) and len(value.size) == 1 and 1 <= value.size[0] <= 8:
            return tuple(float(step) for step in file.tensor(value))
    return ()


def _first_int(*values: Any) -> int:
    return next((int(value) for value in values if type(value) in (int, float) and 0 < value < 1 << 20), 0)


def _plain(value: Any, depth: int = 0) -> Any:
    """Return the value if it is made of plain types throughout, else None."""
    budget = [100_000]

    def check(item: Any, depth: int) -> bool:
        budget[0] -= 1
        if budget[0] < 0 or depth > 16:
            return False
        if isinstance(item, dict):
            return all(type(key) in (str, int) and check(part, depth + 1) for key, part in item.items())
        if isinstance(item, (list, tuple)):
            return all(check(part, depth + 1) for part in item)
        return item is None or type(item) in (str, int, float, bool)

    return value if check(value, depth) else None


def _float(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


def _from_state(state: dict[str, torch.Tensor]) -> OfficialCheckpoint:
    """Return a plain state dict: kind and classes from the names and shapes of the head's tensors."""
    state = {key.removeprefix("module."): value for key, value in state.items()}
    heads = [key.removesuffix(".m.0.weight") for key in state if key.endswith(".m.0.weight") and key.count(".") == 4]
    for head in heads:
        anchors = state.get(f"{head}.anchors", state.get(f"{head}.anchor_wh"))
        if anchors is not None and anchors.ndim == 3:
            nc = len(state[f"{head}.m.0.weight"]) // anchors.shape[1] - 5
            kind = "yolov7" if f"{head}.ia.0.implicit" in state else "yolov5"
            return OfficialCheckpoint(state, nc=nc, names={index: str(index) for index in range(nc)}, kind=kind)
    last = [key for key in state if ".cv3.0.2.weight" in key]
    if last:
        nc = len(state[last[-1]])
        return OfficialCheckpoint(state, nc=nc, names={index: str(index) for index in range(nc)}, kind="ultralytics")
    return OfficialCheckpoint(state)
