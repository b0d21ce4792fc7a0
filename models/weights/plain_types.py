"""Plain types in both directions: what a checkpoint of ours may hold, and inert data made real."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import numpy as np
import torch

from models.errors import CheckpointError
from models.weights.safe_pickle.allowlist import STORAGES
from models.weights.safe_pickle.torch_file import TorchFile
from models.weights.safe_pickle.values import TensorRef

_SCALARS = (str, bytes, int, float, bool, type(None))
_DTYPES = frozenset(getattr(torch, name) for name in STORAGES.values())
_MAX_DEPTH = 32
_MAX_ITEMS = 2_000_000


def plain(value: Any, where: str, depth: int = 0) -> Any:
    """Return a copy of the value in plain types: dict, list, tuple, str, bytes, int, float, bool, None and CPU tensors.

    Args:
        value: what to store; numpy numbers, dict subclasses, torch.Size, parameters and paths are converted.
        where: what messages call the place, "last.pt: training.args" for example.
        depth: how deep `value` lies in the whole.

    Raises:
        CheckpointError: naming the first value that is not plain, where it is, and what to write instead.
    """
    if depth > _MAX_DEPTH:
        raise CheckpointError(f"{where}: nested more than {_MAX_DEPTH} deep; store it flat")
    if type(value) in _SCALARS:
        return value
    if isinstance(value, torch.Tensor):
        return _plain_tensor(value, where)
    if isinstance(value, Mapping):
        for key in value:
            if type(key) not in (str, int):
                raise CheckpointError(f"{where}: key {key!r} is a {type(key).__name__}; use a text or an integer")
        return {key: plain(item, f"{where}: {key}", depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        items = [plain(item, f"{where}[{index}]", depth + 1) for index, item in enumerate(value)]
        return tuple(items) if isinstance(value, tuple) else items
    if isinstance(value, (np.bool_, np.integer, np.floating)):
        return value.item()
    if isinstance(value, PurePath):
        return str(value)
    raise CheckpointError(
        f"{where}: a {type(value).__module__}.{type(value).__qualname__} cannot be stored; "
        "convert it to numbers, texts, lists, dicts or tensors"
    )


def _plain_tensor(value: torch.Tensor, where: str) -> torch.Tensor:
    if value.dtype not in _DTYPES or value.layout is not torch.strided or value.is_quantized:
        raise CheckpointError(f"{where}: a tensor of type {value.dtype} {value.layout} cannot be stored; use float32")
    data = value.detach().cpu().contiguous()
    if type(data) is not torch.Tensor or data.untyped_storage().nbytes() != data.nbytes:
        data = data.as_subclass(torch.Tensor).clone()  # a view would bring its whole storage into the file
    return data


def materialised(file: TorchFile) -> dict[str, Any]:
    """Return the content of an opened checkpoint with its tensors read; only plain types occur.

    Raises:
        CheckpointError: if something is not plain, or nested or shared without end.
    """
    budget = [_MAX_ITEMS]

    def real(value: Any, depth: int) -> Any:
        budget[0] -= 1
        if budget[0] < 0 or depth > _MAX_DEPTH:
            raise CheckpointError(f"{file.path}: nested without end; the file is damaged")
        if isinstance(value, TensorRef):
            return file.tensor(value)
        if type(value) is dict:
            return {_plain_key(key, file): real(item, depth + 1) for key, item in value.items()}
        if type(value) in (list, tuple):
            return type(value)([real(item, depth + 1) for item in value])
        if type(value) in _SCALARS:
            return value
        raise CheckpointError(
            f"{file.path}: holds a {type(value).__name__}, which checkpoints of this project never do"
        )

    content: dict[str, Any] = real(file.root, 0)
    return content


def _plain_key(key: Any, file: TorchFile) -> str | int:
    if type(key) not in (str, int):
        raise CheckpointError(f"{file.path}: holds a {type(key).__name__} as key, which our checkpoints never do")
    return key
