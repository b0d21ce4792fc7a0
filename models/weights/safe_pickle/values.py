"""Hold what a pickle names as inert data: classes, objects, storages and tensors that nobody has looked up or read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, eq=False)
class Global:
    """A class or function that the pickle names; never looked up."""

    module: str
    name: str

    def __str__(self) -> str:
        """Return the dotted name, as messages show it."""
        return f"{self.module}.{self.name}"


@dataclass(eq=False, repr=False)
class Instance:
    """An object of a class that is not looked up: its class, constructor arguments and attributes."""

    cls: Global
    args: tuple[Any, ...] = ()
    state: dict[str, Any] = field(default_factory=dict)
    extra: Any = None  # a state that is no dict of attributes (numpy's dtype and ndarray)


@dataclass(frozen=True, eq=False)
class StorageRef:
    """Where a tensor's numbers lie in the file: torch's storage class name, key and number of elements."""

    kind: str
    key: str
    numel: int


@dataclass(frozen=True, eq=False)
class TensorRef:
    """A tensor that has not been read: a strided window (in elements) on a storage."""

    storage: StorageRef
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]
