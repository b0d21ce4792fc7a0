"""Order of samples: a function of seed and epoch, shared fairly between processes."""

import threading

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset

from engine.datasets.loader import EpochSampler, make_loader


class Echo(Dataset):
    """Gives back its keys."""

    def __len__(self):
        return 10

    def __getitem__(self, key):
        return tuple(key)

    @staticmethod
    def collate_fn(batch):
        return [list(key) for key in batch]


def order(sampler, epoch):
    sampler.set_epoch(epoch)
    return [draw.image for draw in sampler]


def test_the_order_is_a_function_of_seed_and_epoch():
    sampler, other = EpochSampler(50, 1, True, 10), EpochSampler(50, 1, True, 10)
    later = order(sampler, 7)
    assert later == order(other, 7)
    assert sorted(later) == list(range(50))
    assert later != order(sampler, 8)
    assert later != order(EpochSampler(50, 2, True, 10), 7)


def test_without_shuffling_images_come_in_order():
    assert order(EpochSampler(5, 0, False, 10), 3) == [0, 1, 2, 3, 4]


def test_every_sample_says_whether_images_are_combined():
    sampler = EpochSampler(2, 5, True, mosaic_until=3)
    for epoch, mosaic in ((2, True), (3, False)):
        sampler.set_epoch(epoch)
        assert {(draw.seed, draw.epoch, draw.mosaic) for draw in sampler} == {(5, epoch, mosaic)}


@pytest.mark.parametrize("size", [10, 11])
def test_processes_share_one_order_evenly(size):
    parts = [order(EpochSampler(size, 0, True, 9, rank, 3), 1) for rank in range(3)]
    assert {len(part) for part in parts} == {4}
    assert set(np.concatenate(parts)) == set(range(size))
    whole = order(EpochSampler(size, 0, True, 9), 1)
    assert [parts[i % 3][i // 3] for i in range(size)] == whole


FACTORS = np.array([1.0, 1.0, 2.5, 1.0, 3.0, 1.25])  # 9.75: ten samples an epoch


def test_rare_images_come_more_often_and_each_time_as_another_sample():
    sampler = EpochSampler(6, 1, True, 10, factors=FACTORS)
    assert len(sampler) == 10
    draws = [draw for epoch in range(60) if sampler.set_epoch(epoch) is None for draw in sampler]
    assert len(set(draws)) == len({draw.numbers() for draw in draws}) == len(draws) == 600
    counts = np.bincount([draw.image for draw in draws]) / 60
    assert counts == pytest.approx(FACTORS * 10 / 9.75, abs=4.5 * 0.5 / np.sqrt(60))
    assert order(sampler, 3) == order(EpochSampler(6, 1, True, 10, factors=FACTORS), 3) != order(sampler, 4)


def test_repeated_samples_are_shared_by_processes_too():
    parts = [order(EpochSampler(6, 1, True, 10, rank, 2, FACTORS), 5) for rank in range(2)]
    whole = order(EpochSampler(6, 1, True, 10, factors=FACTORS), 5)
    assert [parts[i % 2][i // 2] for i in range(10)] == whole


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_do_not_depend_on_the_number_of_workers(workers):
    sampler = EpochSampler(10, 0, True, 9)
    loader = make_loader(Echo(), 4, workers, sampler, torch.device("cpu"))
    seen = []
    for epoch in (0, 1):
        sampler.set_epoch(epoch)
        seen.append([key for batch in loader for key in batch])
        loader.reset()
    loader.close()
    for epoch in (0, 1):
        sampler.set_epoch(epoch)
        assert seen[epoch] == [list(draw) for draw in sampler]


def test_a_single_batch_needs_no_workers():
    assert make_loader(Echo(), 64, 8, None, torch.device("cpu")).num_workers == 0
    assert make_loader(Echo(), 5, 8, None, torch.device("cpu")).num_workers == 2


def test_validation_reads_ahead_in_a_thread_and_training_does_not():
    class Threads(Echo):
        def __getitem__(self, key):
            return [threading.current_thread() is threading.main_thread()]

    def in_main(sampler):
        return {flag for batch in make_loader(Threads(), 4, 0, sampler, torch.device("cpu")) for [flag] in batch}

    assert in_main(None) == {False}
    assert in_main(EpochSampler(10, 0, False, 1)) == {True}
