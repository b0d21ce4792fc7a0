"""Hand out memory for batches: the same again and again, or in a loader process memory that the main one sees."""

import math
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import get_worker_info


class BatchMemory:
    """Lend memory to batches, and lend it again when nothing refers to the batch any more.

    Batches of many megabytes that come and go among small arrays would tear holes into the heap.
    """

    def __init__(self) -> None:
        self._buffers: list[tuple[np.ndarray, Callable[[], Any]]] = []  # and what was lent of each

    def tensor(self, shape: tuple[int, ...]) -> Tensor:
        """Return a tensor of bytes with any content."""
        count = math.prod(shape)
        if get_worker_info() is not None:
            storage = torch.UntypedStorage._new_shared(count, device="cpu")
            return torch.empty(0, dtype=torch.uint8).set_(storage).view(shape)
        lent = [(buffer, user) for buffer, user in self._buffers if user() is not None]
        free = [buffer for buffer, user in self._buffers if user() is None and buffer.size >= count]
        buffer = free.pop() if free else np.empty(count, np.uint8)
        view = buffer[:count]  # a tensor keeps this object, and it keeps the buffer
        self._buffers = [*lent, (buffer, weakref.ref(view)), *((other, _nothing) for other in free[:1])]
        return torch.from_numpy(view).view(shape)

    def __getstate__(self) -> dict[str, object]:
        """Leave the buffers behind where a data set is sent to a loader process."""
        return {"_buffers": []}


def _nothing() -> None:
    """Stand for a reference to what is gone."""
