"""Choose the number of loader processes: by the cores at first, then by how long steps wait for their batches."""

import math
import multiprocessing
import time
from collections.abc import Iterator
from typing import Any

import psutil
import torch

from engine.datasets.memory_budget import AUTO_SHARE, SHARED, free_memory, shared_memory
from engine.runtime import distributed

SKIPPED, MEASURED = 2, 50  # steps of an epoch: the first wait for processes to start, more than so many say no more
LEAST_WAITING = 0.05  # part of a step's time; shorter waits are left alone
MARGIN = 1.2  # batches do not take equally long
PROCESS_BYTES = 300 << 20  # that a process has for itself; what was read before is shared where processes are forked
PREFETCH, PREFETCH_BYTES = 4, 1 << 30  # batches made ahead by each process, and their memory in all
LEAST_AHEAD = 2  # batches made ahead by each process, however large


class StepTimes:
    """Time how long steps wait for their batches, and how long they take with them.

    Attributes:
        waiting: seconds, of all measured steps together.
        working: likewise.
        steps: how many were measured.
    """

    def __init__(self) -> None:
        self.waiting = self.working = 0.0
        self.steps = 0
        self._given: float | None = None  # when the latest batch was handed out
        self._seen = 0
        self._cpu = psutil.cpu_times()

    def idle_cores(self) -> int:
        """Return how many of the machine's cores nobody used since the epoch began."""
        now = psutil.cpu_times()
        whole = sum(now) - sum(self._cpu)
        idle = now.idle - self._cpu.idle
        return round((psutil.cpu_count() or 1) * idle / whole) if whole > 0 else 0

    def over(self, batches: Iterator[Any]) -> Iterator[Any]:
        """Return an iterator of the same batches, which keeps none of them."""
        return _Timed(batches, self)

    def take(self, asked: float, given: float) -> None:
        """Count the step that began with a batch asked for and handed out at these times, in seconds."""
        self._seen += 1
        if self._given is not None and self._seen > SKIPPED and self.steps < MEASURED:
            self.waiting += given - asked
            self.working += asked - self._given
            self.steps += 1
        self._given = given


class _Timed:
    def __init__(self, batches: Iterator[Any], times: StepTimes) -> None:
        self.batches, self.times = batches, times

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        asked = time.perf_counter()
        batch = next(self.batches)
        self.times.take(asked, time.perf_counter())
        return batch


def own_cores() -> int:
    """Return how many cores this process may use: its part where several on this machine train together."""
    from models.upstream.environment import usable_cores

    return max(1, usable_cores() // distributed.process_rank().local_world)


def first_count(most: int, device: torch.device) -> int:
    """Return with how many processes to begin: on CPUs they would only take the cores from the model.

    Args:
        most: processes at most.
        device: that trains.
    """
    return min(most, max(0, own_cores() // 4) if device.type == "cpu" else own_cores())


def prefetch_factor(count: int, batch_bytes: int, shared: int | None = None) -> int:
    """Return how many batches each of some processes makes ahead.

    Args:
        count: processes.
        batch_bytes: memory of a batch.
        shared: bytes that they may hand over at a time, the batch in use included; None for any number.
    """
    allowed = PREFETCH_BYTES if shared is None else min(PREFETCH_BYTES, shared - batch_bytes)
    return max(LEAST_AHEAD, min(PREFETCH, allowed // max(1, count * batch_bytes)))


def shared_count(count: int, batch_bytes: int, shared: int | None) -> int:
    """Return how many of some processes can hand over what they make ahead beside the batch in use.

    A process that finds no shared memory is ended by the system, and the run with it.
    """
    return count if shared is None else min(count, max(0, shared // max(1, batch_bytes) - 1) // LEAST_AHEAD)


def wanted_count(now: int, times: StepTimes) -> int:
    """Return with how many processes no step would wait, by the times measured with those there are now.

    Steps that wait say how fast batches are made: `now` processes, or this one, make one in each step's whole time.
    """
    whole = times.waiting + times.working
    if not times.steps or times.waiting < LEAST_WAITING * whole:
        return now
    making = now * whole if now else times.waiting
    return max(now + 1, math.ceil(MARGIN * making / max(times.working, 1e-9)))


def room_for(
    now: int, device: torch.device, idle_cores: int, batch_bytes: int, shared_bytes: int
) -> tuple[int, str]:
    """Return how many processes there may be at most, and what sets the limit.

    Args:
        now: those there are.
        device: that trains; a CPU's cores are taken by as many threads as PyTorch has.
        idle_cores: that nobody uses; other programs run beside this one, other trainings of a study for example.
        batch_bytes: memory of a batch.
        shared_bytes: memory of the images that stay in memory; each process copies it where processes are not forked.
    """
    taken = torch.get_num_threads() if device.type == "cpu" else 1
    cores = max(now, min(own_cores() - taken, now + idle_cores))
    each = PROCESS_BYTES + PREFETCH * batch_bytes
    each += shared_bytes if multiprocessing.get_start_method() != "fork" else 0
    memory = now + int(AUTO_SHARE * free_memory()) // each
    shared = max(now, shared_count(cores, batch_bytes, shared_memory()))
    limits = (cores, "no core is free"), (memory, "more do not fit the memory"), (shared, f"more do not fit {SHARED}")
    return min(limits, key=lambda limit: limit[0])


def next_count(now: int, times: StepTimes, most: int, limit: str) -> tuple[int, str]:
    """Choose the number of processes for the next epochs, and say so in a line.

    Args:
        now: those there are.
        times: of the steps so far.
        most: that there may be.
        limit: what sets `most`.
    """
    wanted = wanted_count(now, times)
    count = min(wanted, max(most, now))
    steps = max(1, times.steps)
    waits = f"a step waits {1000 * times.waiting / steps:.1f} of {1000 * (times.waiting + times.working) / steps:.1f} ms"
    change = f"stay {now}" if count == now else f"{now} → {count}"
    return count, f"loader processes {change}: {waits} for its batch{f', but {limit}' if count < wanted else ''}"
