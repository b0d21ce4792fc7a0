"""Working ahead in a thread."""

import threading

import pytest

from engine.background import background


def test_order_is_kept_and_the_thread_is_not_far_ahead():
    made = []

    def items():
        for number in range(20):
            made.append(number)
            yield number

    for number in background(items(), 3):
        assert made[-1] <= number + 3 + 2  # the queue, one in the thread's hands, one in ours
    assert made == list(range(20))


def test_an_error_arrives_after_what_came_before_it():
    def items():
        yield 1
        raise KeyError("broken")

    found = background(items(), 4)
    assert next(found) == 1
    with pytest.raises(KeyError, match="broken"):
        next(found)


def test_closing_ends_the_thread_and_closes_the_source():
    closed = threading.Event()

    def items():
        try:
            while True:
                yield 0
        finally:
            closed.set()

    before = threading.active_count()
    found = background(items(), 2)
    next(found)
    found.close()
    assert closed.is_set()
    assert threading.active_count() == before
