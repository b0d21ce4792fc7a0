"""Small constants of the losses, on the device: sending one there anew for every batch makes the host wait."""

from functools import lru_cache

import torch
from torch import Tensor

KEPT = 256  # constants kept at a time; --multi-scale has new grid sizes with every batch


def constant(values: tuple[float, ...], like: Tensor) -> Tensor:
    """Return a vector of numbers with the dtype, and on the device, of another tensor; it must not be written into."""
    return _made(values, like.dtype, like.device)


@lru_cache(maxsize=KEPT)
def _made(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    with torch.inference_mode(False):  # made in validation it could not be used in training
        return torch.tensor(values, dtype=dtype, device=device)
