"""The number of loader processes: from the cores at first, then from what steps wait; it changes no batch."""

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset

from engine.datasets import loader_processes
from engine.datasets.loader import EpochLoader, EpochSampler, make_loader
from engine.datasets.loader_processes import (
    MEASURED,
    PREFETCH_BYTES,
    PROCESS_BYTES,
    SKIPPED,
    StepTimes,
    first_count,
    next_count,
    prefetch_factor,
    room_for,
    shared_count,
    wanted_count,
)

CPU, GPU = torch.device("cpu"), torch.device("cuda")


class Numbers(Dataset):
    """Gives random numbers that its key decides."""

    def __len__(self):
        return 10

    def __getitem__(self, key):
        return torch.from_numpy(np.random.default_rng(key.numbers()).random(3))

    @staticmethod
    def collate_fn(batch):
        return torch.stack(batch)


def times_of(waiting, working, steps=10):
    times = StepTimes()
    times.waiting, times.working, times.steps = waiting * steps, working * steps, steps
    return times


def test_processes_on_one_machine_share_its_cores(monkeypatch):
    monkeypatch.setattr("models.upstream.environment.usable_cores", lambda: 16)
    assert first_count(8, GPU) == 8
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert first_count(8, GPU) == 4
    assert first_count(8, CPU) == 1


@pytest.mark.parametrize(
    ("now", "waiting", "working", "wanted"),
    [
        (0, 0.004, 0.096, 0),  # 4 % of a step: left alone
        (0, 0.05, 0.10, 1),  # one process makes a batch in half a step
        (0, 0.25, 0.10, 3),  # 1.2 · 0.25 / 0.10
        (2, 0.10, 0.10, 5),  # two make a batch in 0.2 s, so one in 0.4: 1.2 · 0.4 / 0.1 = 4.8
        (2, 0.006, 0.10, 3),  # waiting is seen: one more at least
    ],
)
def test_so_many_processes_that_no_step_would_wait(now, waiting, working, wanted):
    assert wanted_count(now, times_of(waiting, working)) == wanted
    assert wanted_count(now, times_of(waiting, working, 0)) == now  # nothing measured


def test_no_more_processes_than_cores_and_memory_are_free(monkeypatch):
    free = [64 << 30]
    monkeypatch.setattr(loader_processes, "own_cores", lambda: 8)
    monkeypatch.setattr(loader_processes, "free_memory", lambda: free[0])
    monkeypatch.setattr(loader_processes.multiprocessing, "get_start_method", lambda: "fork")
    monkeypatch.setattr(torch, "get_num_threads", lambda: 6)
    assert room_for(0, CPU, 8, 0, 0) == (2, "no core is free")
    assert room_for(0, GPU, 8, 0, 0) == (7, "no core is free")
    assert room_for(1, GPU, 2, 0, 0)[0] == 3  # other programs take the rest
    assert room_for(4, CPU, 0, 0, 0)[0] == 4  # what there is stays
    free[0] = 8 * PROCESS_BYTES
    assert room_for(0, GPU, 8, 0, 0) == (2, "more do not fit the memory")
    monkeypatch.setattr(loader_processes.multiprocessing, "get_start_method", lambda: "spawn")
    assert room_for(0, GPU, 8, 0, PROCESS_BYTES)[0] == 1  # images that stay in memory are copied


def test_the_choice_is_said_in_one_line():
    assert next_count(0, times_of(0.002, 0.098), 4, "no core is free") == (
        0,
        "loader processes stay 0: a step waits 2.0 of 100.0 ms for its batch",
    )
    count, line = next_count(0, times_of(0.05, 0.05), 4, "no core is free")
    assert (count, line) == (2, "loader processes 0 → 2: a step waits 50.0 of 100.0 ms for its batch")
    count, line = next_count(0, times_of(0.05, 0.05), 0, "no core is free")
    assert count == 0
    assert line.endswith("for its batch, but no core is free")


def test_batches_made_ahead_fit_their_budget():
    assert prefetch_factor(2, 10 << 20) == 4
    assert prefetch_factor(8, PREFETCH_BYTES // 24) == 3
    assert prefetch_factor(8, PREFETCH_BYTES) == 2


IN_DOCKER = int(0.8 * (64 << 20))  # what a container has, unless it was asked for more


@pytest.mark.parametrize(
    ("batch", "count", "ahead"),  # images of 640 px: 1.17 MiB each, of 51.2 MiB
    [
        (1, 8, 4),  # 8 · 4 + 1 batches of 1.17 MiB: 38.7
        (2, 8, 2),  # 8 · 2 + 1 of 2.34 MiB: 39.8; three ahead would be 58.6
        (4, 4, 2),  # 4 · 2 + 1 of 4.69 MiB: 42.2; a fifth process would make it 51.6
        (8, 2, 2),  # 2 · 2 + 1 of 9.38 MiB: 46.9
        (16, 0, None),  # 1 · 2 + 1 of 18.75 MiB: 56.3
    ],
)
def test_batches_in_shared_memory_fit_a_container(batch, count, ahead):
    batch_bytes = batch * 3 * 640**2
    assert shared_count(8, batch_bytes, IN_DOCKER) == count
    assert ahead is None or prefetch_factor(count, batch_bytes, IN_DOCKER) == ahead
    assert shared_count(8, batch_bytes, None) == 8


def test_processes_that_shared_memory_has_no_room_for_are_not_started(monkeypatch):
    said = []
    monkeypatch.setattr(Numbers, "imgsz", 640, raising=False)
    monkeypatch.setattr("engine.datasets.loader.shared_memory", lambda: IN_DOCKER)
    monkeypatch.setattr("engine.datasets.loader.LOGGER.warning", said.append)
    loader = make_loader(Numbers(), 4, 2, None, CPU)
    assert (loader.num_workers, said) == (2, [])
    monkeypatch.setattr("engine.datasets.loader.shared_memory", lambda: IN_DOCKER // 4)
    loader = make_loader(Numbers(), 5, 2, EpochSampler(10, 3, True, 9), CPU)
    assert loader.num_workers == 0
    assert len(list(loader)) == 2
    assert said == [
        "loader processes 2 → 0: /dev/shm has too little room for their batches; "
        "start a container with --ipc=host or --shm-size=8g"
    ]


def test_no_more_processes_than_shared_memory_has_room_for(monkeypatch):
    monkeypatch.setattr(loader_processes, "own_cores", lambda: 8)
    monkeypatch.setattr(loader_processes, "free_memory", lambda: 64 << 30)
    monkeypatch.setattr(loader_processes, "shared_memory", lambda: IN_DOCKER)
    assert room_for(0, GPU, 8, 4 * 3 * 640**2, 0) == (4, "more do not fit /dev/shm")
    assert room_for(0, GPU, 8, 0, 0) == (7, "no core is free")


def test_steps_are_timed_but_the_first():
    times = StepTimes()
    clock = 0.0
    for number in range(MEASURED + 20):
        waited = 5.0 if number < SKIPPED else 0.25
        times.take(clock, clock + waited)
        clock += waited + 1.0
    assert times.steps == MEASURED
    assert times.waiting == pytest.approx(0.25 * MEASURED)
    assert times.working == pytest.approx(1.0 * MEASURED)


def test_a_change_of_processes_between_epochs_changes_no_batch(monkeypatch):
    expected = []
    sampler = EpochSampler(10, 3, True, 9)
    for epoch in range(3):
        sampler.set_epoch(epoch)
        expected.append(torch.cat([batch for batch in make_loader(Numbers(), 2, 0, sampler, CPU)]))
    monkeypatch.setattr("engine.datasets.loader.room_for", lambda *_: (2, ""))
    loader, counts = make_loader(Numbers(), 2, 0, sampler, CPU), []
    for epoch, waiting in enumerate((1.0, 2.0, 0.0)):
        sampler.set_epoch(epoch)
        assert torch.equal(torch.cat(list(loader)), expected[epoch])
        counts.append(loader.num_workers)
        monkeypatch.setattr(loader, "times", times_of(waiting, 2.0))
        loader, _ = loader.adapted(CPU)
        assert isinstance(loader, EpochLoader)
    loader.close()
    assert counts == [0, 1, 2]
    assert loader.num_workers == 2
