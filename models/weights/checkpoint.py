"""Our checkpoint: one file of plain types, written so that a kill or a full disk never costs the previous one.

Content (keys of the dict):
    format      "yolo-attention/1"
    spec        the model description, self-contained plain types
    names       {class index: name}
    stride      the head's strides in pixels
    weights     {state-dict key: tensor}; the moving average, float32 or float16
    hyp         the head's and loss's settings
    training    only in unfinished runs (last.pt): all that --resume needs
    provenance  where it comes from: versions, command, data, figures

`torch.load(path, weights_only=True)` opens it anywhere. Here it is read by the stricter reader of
`models.weights.safe_pickle.torch_file`, which bounds memory and admits no classes at all. As `.safetensors` the same
content is written without `training`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from models.errors import CheckpointError
from models.weights.atomic_write import write_atomically
from models.weights.plain_types import materialised, plain
from models.weights.safe_pickle.torch_file import open_torch_file
from models.weights.safetensors_file import read_safetensors, safetensors_bytes

FORMAT = "yolo-attention/1"
_FAMILY, _MAJOR = "yolo-attention", 1
_TABLE = "yolo-attention"  # the key of the JSON text in .safetensors files
_MAX_CLASSES = 100_000


def save_checkpoint(path: str | Path, content: Mapping[str, Any]) -> None:
    """Write a checkpoint; the file at `path` is the old one or the new one, never half of one.

    It is written to a temporary file in the same folder, flushed to the disk and renamed. A path ending in
    `.safetensors` gives that format, without `training`.

    Args:
        path: target file; its folder exists.
        content: see the module's documentation. `format` may be left out. Numpy numbers, dict subclasses and paths
            become plain types; any other object is an error that says where it is.

    Raises:
        CheckpointError: if the content is not plain or incomplete, or the file cannot be written (the previous one is
            kept, and the message says why).
    """
    path = Path(path)
    data = plain({"format": FORMAT, **content}, str(path))
    _check(data, path)
    if path.suffix == ".safetensors":
        table = json.dumps({key: value for key, value in data.items() if key not in ("weights", "training")})
        encoded = safetensors_bytes(data["weights"], {_TABLE: table})
        write_atomically(path, lambda stream: stream.write(encoded))
    else:
        write_atomically(path, lambda stream: torch.save(data, stream))


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint of ours (.pt or .safetensors), tensors on the CPU.

    Args:
        path: the file.

    Raises:
        CheckpointError: if the file is missing, damaged, not ours, of a newer major format, or its parts do not have
            the types that the format says.
    """
    path = Path(path)
    if path.suffix == ".safetensors":
        weights, texts = read_safetensors(path)
        data = _from_table(texts.get(_TABLE), path)
        data["weights"] = weights
    else:
        with open_torch_file(path, stand_ins=False) as file:
            if not isinstance(file.root, dict) or "format" not in file.root:
                raise CheckpointError(f"{path}: not a checkpoint of this project (no 'format'); expected {FORMAT}")
            _check_format(file.root["format"], path)
            data = materialised(file)
    _check(data, path)
    return data


def description_in(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the model description of a checkpoint of ours, as `read_checkpoint` returns its contents."""
    return {"dialect": "paper", **content["spec"]}  # before there were dialects, every word meant ours


def is_ours(path: str | Path) -> bool:
    """Tell whether the file is a checkpoint of ours of any version; what cannot be read is none."""
    path = Path(path)
    try:
        if path.suffix == ".safetensors":
            return _TABLE in read_safetensors(path)[1]
        with open_torch_file(path, stand_ins=False) as file:  # an official file ends it at its first class
            return isinstance(file.root, dict) and _family(file.root.get("format")) == _FAMILY
    except CheckpointError:
        return False


def describe(path: str | Path) -> dict[str, Any]:
    """Return what a checkpoint of ours holds, in numbers and names; errors as `read_checkpoint`."""
    path = Path(path)
    data = read_checkpoint(path)
    training = data.get("training") or {}
    return {
        "file": str(path),
        "bytes": path.stat().st_size,
        "format": data["format"],
        "classes": len(data["names"]),
        "names": data["names"],
        "stride": data["stride"],
        "tensors": len(data["weights"]),
        "numbers": sum(value.numel() for value in data["weights"].values()),
        "dtypes": sorted({str(value.dtype).removeprefix("torch.") for value in data["weights"].values()}),
        "resumable": bool(training),
        "epoch": training.get("epoch"),
        "provenance": data["provenance"],
    }


def _family(value: Any) -> str:
    return value.partition("/")[0] if type(value) is str else ""


def _check_format(value: Any, path: Path) -> None:
    """Demand the same family and major number; a newer minor number ("…/1.2") only adds what may be ignored."""
    major = value.partition("/")[2].partition(".")[0] if _family(value) == _FAMILY else ""
    if not (major.isdecimal() and len(major) < 6):
        found = repr(value[:40]) if type(value) is str else _kind(value)  # anything may be nested deeply
        raise CheckpointError(f"{path}: its format is {found}, not one of this project; expected {FORMAT!r}")
    if int(major) != _MAJOR:
        raise CheckpointError(
            f"{path}: written in format {value[:40]!r}, this version reads {FORMAT}; update this program"
        )


def _from_table(text: str | None, path: Path) -> dict[str, Any]:
    if text is None:
        raise CheckpointError(f"{path}: safetensors without the table {_TABLE!r}; not a checkpoint of this project")
    try:
        data = json.loads(text)
        data["names"] = {int(index): name for index, name in data["names"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise CheckpointError(f"{path}: the table {_TABLE!r} is damaged") from None
    return data


def _check(data: dict[str, Any], path: Path) -> None:
    """Check types and ranges of the parts; what is inside `spec` and `training` their readers check."""
    _check_format(data.get("format"), path)
    for key, kind in (("spec", dict), ("names", dict), ("stride", (list, tuple)), ("weights", dict), ("hyp", dict)):
        if not isinstance(data.get(key), kind):
            raise CheckpointError(f"{path}: {key!r} is {_kind(data.get(key))}; expected {_kind_name(kind)}")
    for key in ("training", "provenance"):
        if not isinstance(data.setdefault(key, {}), dict):
            raise CheckpointError(f"{path}: {key!r} is {_kind(data[key])}; expected a dict")
    _check_values(data["names"], data["stride"], data["weights"], path)
    if not data["training"]:
        del data["training"]


def _check_values(names: dict[Any, Any], stride: list[Any], weights: dict[Any, Any], path: Path) -> None:
    if len(names) > _MAX_CLASSES or list(names) != list(range(len(names))):
        raise CheckpointError(f"{path}: 'names' must map 0, 1, … to texts; found {len(names)} other keys")
    if not all(type(name) is str for name in names.values()):
        raise CheckpointError(f"{path}: 'names' must map 0, 1, … to texts; found another value")
    if not (1 <= len(stride) <= 8 and all(type(step) in (int, float) and 1 <= step <= 4096 for step in stride)):
        raise CheckpointError(f"{path}: 'stride' must be 1 to 8 numbers of pixels; found {len(stride)} values")
    for name, tensor in weights.items():
        if type(name) is not str or not isinstance(tensor, torch.Tensor):
            raise CheckpointError(f"{path}: 'weights' must map names to tensors; {str(name)[:60]!r} is {_kind(tensor)}")


def _kind(value: Any) -> str:
    return "missing" if value is None else f"a {type(value).__name__}"


def _kind_name(kind: Any) -> str:
    return "a list" if isinstance(kind, tuple) else f"a {kind.__name__}"
