"""Data loaders whose content depends on seed and epoch alone, not on the number of workers or on what ran before."""

from collections.abc import Iterator
from itertools import cycle, islice
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Sampler

from data.balance.repeat_factors import draw_counts, epoch_size
from engine.datasets.loader_processes import StepTimes, next_count, prefetch_factor, room_for, shared_count
from engine.datasets.memory_budget import SHARED, shared_memory
from engine.datasets.record_dataset import Draw
from engine.runtime.log import LOGGER
from engine.runtime.threads import prefetch

AHEAD = 2  # batches that validation reads ahead


class EpochSampler(Sampler):
    """Order one epoch's training samples, as a function of (seed, epoch).

    Args:
        size: images in the data set.
        seed: the run's seed.
        shuffle: whether the order changes from epoch to epoch.
        mosaic_until: from this epoch on, images are not combined any more.
        rank: this process's number among `world`.
        world: processes that share the data; each draws every `world`-th sample of the common order.
        factors: how often an epoch shows each image (size,), on average; None shows each once.
    """

    def __init__(
        self,
        size: int,
        seed: int,
        shuffle: bool,
        mosaic_until: int,
        rank: int = 0,
        world: int = 1,
        factors: np.ndarray | None = None,
    ) -> None:
        self.images, self.size = size, size if factors is None else epoch_size(factors)
        self.seed, self.shuffle, self.mosaic_until = seed, shuffle, mosaic_until
        self.rank, self.world = rank, world
        self.factors = factors
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration belongs to."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-self.size // self.world)

    def __iter__(self) -> Iterator[Draw]:
        epoch = self.epoch
        if self.shuffle:
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
            order = torch.randperm(self.size, generator=generator).tolist()
        else:
            order = list(range(self.size))
        # The same number for every process: some occur twice; of unshuffled ones, which are sorted by shape, the last.
        missing = len(self) * self.world - self.size
        order += list(islice(cycle(order if self.shuffle else order[-1:]), missing))
        samples = self._samples()
        for index in order[self.rank :: self.world]:
            image, repeat = samples[index]
            yield Draw(self.seed, epoch, image, epoch < self.mosaic_until, repeat)

    def _samples(self) -> list[tuple[int, int]]:
        """Return the image of each of this epoch's samples, and how often it came before."""
        if self.factors is None:
            return [(image, 0) for image in range(self.images)]
        counts = draw_counts(self.factors, np.random.default_rng((self.seed, self.epoch)))
        return [(image, repeat) for image, count in enumerate(counts.tolist()) for repeat in range(count)]


class EpochLoader(DataLoader):
    """Load batches, with the two methods that ultralytics' trainer calls on its own one.

    Without processes of its own it reads images in order ahead in a thread, while the model looks at earlier ones.
    Training samples are not read so: they seed Python's and NumPy's generators, which the main thread uses too.

    Attributes:
        times: of the latest epoch's steps, where the loader is for training.
    """

    times = StepTimes()

    def __iter__(self) -> Any:
        batches = super().__iter__()
        if isinstance(self.sampler, EpochSampler):
            self.times = StepTimes()
            return self.times.over(batches)
        return prefetch(batches, AHEAD) if self.num_workers == 0 else batches

    def adapted(self, device: torch.device) -> tuple["EpochLoader", str]:
        """Return a loader of the same batches with more processes where steps waited for them, else this one.

        Args:
            device: that trains.

        Returns:
            The loader, of which the number of processes changes the speed and nothing else; and a line that says it.
        """
        cached = sum(image.nbytes for image in getattr(self.dataset, "ims", []) if image is not None)
        batch_bytes = _batch_bytes(self.dataset, self.batch_size or 1)
        most, limit = room_for(self.num_workers, device, self.times.idle_cores(), batch_bytes, cached)
        count, line = next_count(self.num_workers, self.times, min(most, len(self)), limit)
        if count == self.num_workers:
            return self, line
        self.close()
        sampler: Any = self.sampler
        return make_loader(self.dataset, self.batch_size or 1, count, sampler, device), line

    def reset(self) -> None:
        """Do nothing: workers get everything that changes with each sample's key."""

    def close(self) -> None:
        """Stop the workers."""
        if self._iterator is not None and hasattr(self._iterator, "_shutdown_workers"):
            self._iterator._shutdown_workers()
        self._iterator = None


def make_loader(
    dataset: Any,
    batch: int,
    workers: int,
    sampler: Sampler | None,
    device: torch.device,
    rank: int = 0,
    world: int = 1,
) -> EpochLoader:
    """Return a loader over a data set.

    Args:
        dataset: with a `collate_fn`.
        batch: images a batch.
        workers: processes; never more than batches or than shared memory has room for, and none for a single batch.
        sampler: order of training samples; None for validation, in order.
        device: where batches go; a GPU gets pinned memory.
        rank: this process's number among `world`.
        world: processes that validate together; each takes every `world`-th batch. (Training samples are dealt by their
            sampler.)
    """
    batch = min(batch, len(dataset))
    starts = range(rank * batch, len(dataset), world * batch)
    order: dict[str, Any] = {"batch_size": batch, "sampler": sampler}
    if world > 1:
        order = {"batch_sampler": [list(range(start, min(start + batch, len(dataset)))) for start in starts]}
    wanted = min(workers, len(starts)) if len(starts) > 1 else 0
    batch_bytes, shared = _batch_bytes(dataset, batch), shared_memory()
    workers = shared_count(wanted, batch_bytes, shared)
    if workers < wanted:
        LOGGER.warning(
            f"loader processes {wanted} → {workers}: {SHARED} has too little room for their batches; "
            "start a container with --ipc=host or --shm-size=8g"
        )
    return EpochLoader(
        dataset,
        **order,
        num_workers=workers,
        prefetch_factor=prefetch_factor(workers, batch_bytes, shared) if workers else None,
        persistent_workers=workers > 0,
        pin_memory=device.type == "cuda",
        collate_fn=dataset.collate_fn,
    )


def _batch_bytes(dataset: Any, batch: int) -> int:
    """Return the memory of a batch's images in bytes; 0 where they have no common size."""
    return int(batch * getattr(dataset, "channels", 3) * getattr(dataset, "imgsz", 0) ** 2)
