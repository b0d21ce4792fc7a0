"""Read and write .safetensors files (tensors and a table of texts, nothing that could be executed)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from models.errors import CheckpointError
from models.weights.safe_pickle.torch_file import check_regular


def read_safetensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Return all tensors by name, and the file's table of texts.

    Raises:
        CheckpointError: if the file is missing, unreadable or damaged.
    """
    check_regular(path)
    try:
        with safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}, dict(file.metadata() or {})
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"{path}: not a readable safetensors file ({' '.join(str(error).split())[:160]})"
        ) from None


def safetensors_bytes(tensors: Mapping[str, torch.Tensor], texts: Mapping[str, str]) -> bytes:
    """Return the content of a .safetensors file; tensors are made contiguous and separate, as the format wants."""
    return save(
        {key: value.detach().cpu().clone(memory_format=torch.contiguous_format) for key, value in tensors.items()},
        dict(texts),
    )
