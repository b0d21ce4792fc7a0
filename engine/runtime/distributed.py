"""Distributed training with torchrun: the rank of this process, process groups, and collectives.

Every function does the right thing for a single process too, so callers need not ask.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar
from uuid import uuid4

import torch
import torch.distributed as dist
from torch import Tensor

from engine.errors import RunFailed, UsageError

T = TypeVar("T")
TIMEOUT = timedelta(minutes=30)  # of one collective; a process that died is noticed at once, by its closed connection
_KEY = "yolo-attention"  # of what we keep in torchrun's store


@dataclass(frozen=True)
class ProcessRank:
    """Identify this process among those that torchrun started.

    Attributes:
        rank: its number.
        world: how many there are.
        local_rank: its number on this machine.
        local_world: how many there are on this machine.
    """

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    local_world: int = 1


def process_rank() -> ProcessRank:
    """Return the rank of this process, as torchrun's environment variables say."""
    names = {"rank": "RANK", "world": "WORLD_SIZE", "local_rank": "LOCAL_RANK", "local_world": "LOCAL_WORLD_SIZE"}
    fields = {field: int(os.environ[name]) for field, name in names.items() if name in os.environ}
    return ProcessRank(**fields) if fields.get("world", 1) > 1 else ProcessRank()


def own_device(device: str, here: ProcessRank) -> str:
    """Return what --device means for this process.

    Args:
        device: --device: empty, "cpu", or as many GPU numbers as there are processes on this machine.
        here: rank of this process.

    Raises:
        UsageError: if there are fewer GPUs than processes.
    """
    if here.world == 1:
        return device
    if device.strip().lower() == "cpu":
        return "cpu"
    numbers = [number for number in device.lower().replace("cuda:", "").replace(" ", "").split(",") if number]
    if numbers == ["cuda"] and torch.cuda.is_available():
        numbers = []
    if not numbers:
        if not torch.cuda.is_available():
            return "cpu"
        numbers = [str(number) for number in range(torch.cuda.device_count())]
    if len(numbers) < here.local_world:
        raise UsageError(
            f"{here.local_world} processes on this machine, but GPU {', '.join(numbers)} only; "
            f"use --nproc-per-node {len(numbers)}, or --device cpu"
        )
    return numbers[here.local_rank]


@contextmanager
def joined(here: ProcessRank, device: str) -> Iterator[None]:
    """Join the process group for the time of a block.

    Args:
        here: rank of this process.
        device: of this process, as `own_device` returns it.
    """
    if here.world == 1:
        yield
        return
    on_cpu = device == "cpu"
    if not on_cpu:
        torch.cuda.set_device(int(device))
    settings: dict[str, Any] = {"backend": _collectives(on_cpu), "timeout": TIMEOUT}
    store = _agents_store()
    if store is not None:
        settings |= {"store": _fresh(store, here), "rank": here.rank, "world_size": here.world}
    dist.init_process_group(**settings)
    try:
        yield
        leave()
    finally:
        # After an error others may never answer; NCCL would wait for them, and gloo aborts the process if left open.
        if _collectives(on_cpu) == "gloo":
            leave()


def _collectives(on_cpu: bool) -> str:
    """Return the library for collectives; gloo moves GPUs' tensors too, slower, where NCCL is missing (Windows)."""
    return "gloo" if on_cpu or not dist.is_nccl_available() else "nccl"


def leave() -> None:
    """Leave the process group; this process goes on alone."""
    if dist.is_initialized():
        dist.destroy_process_group()


def from_first(make: Callable[[], T]) -> T:
    """Make something in the first process and broadcast it to all."""
    if not dist.is_initialized():
        return make()
    box: list[Any] = [make() if dist.get_rank() == 0 else None]
    dist.broadcast_object_list(box, src=0)
    return box[0]


def from_all(value: T) -> list[T]:
    """Gather what each process has, by rank."""
    if not dist.is_initialized():
        return [value]
    box: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(box, value)
    return box


@contextmanager
def in_turn(here: ProcessRank) -> Iterator[None]:
    """Run a block in the first process, then in the first of every other machine, then in all others.

    For what makes files if they are missing: disks may belong to one machine, or to all.
    """
    turn = 0 if here.rank == 0 else 1 if here.local_rank == 0 else 2
    for number in range(3 if here.world > 1 else 1):
        if number == turn:
            yield
        if dist.is_initialized():
            dist.barrier()


def shares(counts: Tensor) -> Tensor:
    """Return the factors that turn means over this process's elements into means over those of all processes.

    The mean over processes of `shares(n) * mean(own elements)` is the mean over all elements.

    Args:
        counts: (k,) how many elements each of k means has here; 0 is allowed.

    Returns:
        (k,) factors.
    """
    total = counts.clone()
    dist.all_reduce(total)
    return counts * dist.get_world_size() / total.clamp(min=1)


def averaged(values: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the mean over processes of each number."""
    if not dist.is_initialized():
        return values
    row = torch.stack(list(values.values())).float()
    dist.all_reduce(row)
    return dict(zip(values, row / dist.get_world_size(), strict=True))


def any_of(flag: bool, device: torch.device) -> bool:
    """Return whether the flag is set in any process."""
    if not dist.is_initialized():
        return flag
    row = torch.tensor(float(flag), device=device)
    dist.all_reduce(row)
    return bool(row > 0)


def copy_from_first(tensors: Iterable[Tensor]) -> None:
    """Overwrite tensors with those of the first process."""
    if dist.is_initialized():
        for tensor in tensors:
            dist.broadcast(tensor, src=0)


def _agents_store() -> Any:
    """Return torchrun's own store, which outlives the processes that it restarts; None without torchrun."""
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return None
    return dist.TCPStore(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=False, timeout=TIMEOUT)


def _fresh(store: Any, here: ProcessRank) -> Any:
    """Return a part of torchrun's store that nothing was written to before this start of all processes.

    The store keeps what processes wrote before torchrun restarted them, their addresses too, and the number of restarts
    is not the same on all machines. So the first process makes a name up, and tells it to everyone who calls. A call
    from an earlier start may be answered too, by a name that nobody waits for any more.
    """
    own = uuid4().hex
    if here.rank:
        store.set(f"{_KEY}/call/{here.rank}", own)
        name = store.get(f"{_KEY}/answer/{own}").decode()  # waits for it
        store.set(f"{_KEY}/{name}/{here.rank}", "heard")
        return dist.PrefixStore(name, store)
    deadline = time.monotonic() + TIMEOUT.total_seconds()
    missing = list(range(1, here.world))
    while missing:
        if time.monotonic() > deadline:
            raise RunFailed(
                f"processes {', '.join(map(str, missing))} of this run did not start within "
                f"{TIMEOUT.total_seconds() / 60:.0f} minutes; start torchrun on every machine, with one --rdzv-endpoint"
            )
        for rank in missing:
            if store.check([f"{_KEY}/call/{rank}"]):
                store.set(f"{_KEY}/answer/{store.get(f'{_KEY}/call/{rank}').decode()}", own)
        missing = [rank for rank in missing if not store.check([f"{_KEY}/{own}/{rank}"])]
        time.sleep(0.05)
    return dist.PrefixStore(own, store)


def remember_folder(folder: str) -> None:
    """Store the run's folder with torchrun, for the processes that it may start instead of this one."""
    store = _agents_store()
    if store is not None:
        store.set(f"{_KEY}/folder", folder)


def remembered_folder() -> str | None:
    """Return the folder that this run had before torchrun restarted it; None in a first start."""
    store, key = _agents_store(), f"{_KEY}/folder"
    return store.get(key).decode() if store is not None and store.check([key]) else None
