"""Memory of batches is lent again when a batch is gone, and never before."""

import pickle

from engine.datasets.augmentation.batch_memory import BatchMemory


def test_memory_is_lent_again_when_nothing_refers_to_it():
    memory = BatchMemory()
    first = memory.tensor((2, 4, 4, 3))
    address, part = first.data_ptr(), first.permute(0, 3, 1, 2)[1]
    del first
    second = memory.tensor((2, 4, 4, 3))
    assert second.data_ptr() != address  # a part of the first is still in use
    del part
    third = memory.tensor((1, 4, 4, 3))  # a smaller one, as at the end of an epoch
    assert third.data_ptr() == address
    assert second.data_ptr() != address


def test_what_is_in_use_is_not_written_over():
    memory = BatchMemory()
    kept = [memory.tensor((3,)).fill_(number) for number in range(5)]
    assert [tensor.tolist() for tensor in kept] == [[number] * 3 for number in range(5)]


def test_a_larger_batch_gets_memory_of_its_own():
    memory = BatchMemory()
    memory.tensor((4,))
    assert memory.tensor((9,)).fill_(1).sum() == 9
    assert len(pickle.dumps(memory)) < 200  # buffers stay behind
