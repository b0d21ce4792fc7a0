"""Read a checkpoint of any kind that this project knows, in its own terms."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from models.catalog.heads import meant
from models.errors import SpecError
from models.forks.checkpoint import adapt_checkpoint
from models.spec.model_spec import ModelSpec, read_spec
from models.weights.checkpoint import description_in, is_ours, read_checkpoint
from models.weights.download import FOLDER_WEIGHTS
from models.weights.official import image_size, read_official
from models.weights.pickled_modules import PickledLayer
from models.weights.yolov5_names import to_ours

CHECKPOINTS = (".pt", ".pth", ".safetensors")  # suffixes


@dataclass(frozen=True)
class Source:
    """A checkpoint of any readable kind, in our terms.

    Attributes:
        path: the file.
        state: tensors under our names.
        names: class names; empty where the file has none.
        spec: the model it describes; None where it describes none that can be read.
        hyp: loss gains and thresholds it was trained with.
        reason: why spec is None.
        trained_imgsz: size in pixels that it was trained at; None where the file does not say.
        layers: of a foreign file as it names them, with or without a spec.
        norms: eps and momentum of a foreign file's batch normalisations, by path.
    """

    path: Path
    state: Mapping[str, Tensor]
    names: Mapping[int, str]
    spec: ModelSpec | None
    hyp: Mapping[str, Any]
    reason: str = ""
    trained_imgsz: int | None = None
    layers: Sequence[PickledLayer] = ()
    norms: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def read_source(path: str | Path, description: Mapping[str, Any] | None = None) -> Source:
    """Read a checkpoint: ours, of YOLOv5, YOLOv7, ultralytics or a fork, or plain tensors; execute nothing in it.

    Args:
        path: the file, or a folder in Hugging Face's layout.
        description: of a foreign file's model, in place of the one in it.

    Raises:
        CheckpointError: if the file is missing, damaged, or of another task.
    """
    path = Path(path)
    path = path / FOLDER_WEIGHTS if (path / FOLDER_WEIGHTS).is_file() else path
    if is_ours(path):
        content = read_checkpoint(path)
        spec, reason = _described(description_in(content), path)
        size = image_size(content["provenance"].get("imgsz"))
        return Source(path, content["weights"], content["names"], spec, content.get("hyp") or {}, reason, size)
    official = read_official(path)
    description = official.yaml if description is None else description
    if description is not None and official.nc:
        description = {**description, "nc": official.nc}
    if description is not None and official.kind == "yolov7":
        description = _of_yolov7(description)
    if description is not None:
        description = _with_head_of(description, official.state)
    found = adapt_checkpoint(official, description, to_ours(official.state), path)
    return Source(
        path, found.state, official.names, found.spec, {}, found.reason, official.imgsz, found.layers, found.norms
    )


def _of_yolov7(description: Mapping[str, Any]) -> dict[str, Any]:
    """Return a deploy file's description with its head named as ours: there, `Detect` is YOLOv5's too."""
    *rows, head = description.get("head") or [[]]
    if len(head) == 4 and head[2] == "Detect":
        head = [*head[:2], "PlainDetect", head[3]]
    return {**description, "head": [*rows, head]}


def _with_head_of(description: Mapping[str, Any], state: Mapping[str, Tensor]) -> Mapping[str, Any]:
    """Return a description whose head is the one that the tensors show, where its word has several meanings."""
    backbone, head = description.get("backbone"), description.get("head")
    if not isinstance(backbone, list) or not isinstance(head, list) or not head:
        return description
    *rows, last = head
    if not isinstance(last, list) or len(last) != 4 or not isinstance(last[2], str):
        return description
    prefix = f"model.{len(backbone) + len(rows)}."
    found = meant(last[2], {key.removeprefix(prefix) for key in state if key.startswith(prefix)})
    return {**description, "head": [*rows, [*last[:2], found, last[3]]]}


def _described(description: Mapping[str, Any] | None, path: Path) -> tuple[ModelSpec | None, str]:
    """Return the model that a checkpoint describes, or why there is none."""
    if description is None:
        return None, "it holds tensors but no model description"
    try:
        return read_spec({**description, "yaml_file": str(path), "name": description.get("name", path.stem)}), ""
    except SpecError as error:
        return None, f"its model description cannot be used ({error})"
