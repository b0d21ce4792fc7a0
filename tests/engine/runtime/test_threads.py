"""Prefetching, and calls in a background worker."""

import threading
import time

import pytest

from engine.runtime.threads import BackgroundWorker, prefetch


def test_order_is_kept_and_the_thread_is_not_far_ahead():
    made = []

    def items():
        for number in range(20):
            made.append(number)
            yield number

    for number in prefetch(items(), 3):
        assert made[-1] <= number + 3 + 2  # the queue, one in the thread's hands, one in ours
    assert made == list(range(20))


def test_an_error_arrives_after_what_came_before_it():
    def items():
        yield 1
        raise KeyError("broken")

    found = prefetch(items(), 4)
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
    found = prefetch(items(), 2)
    next(found)
    found.close()
    assert closed.is_set()
    assert threading.active_count() == before


def test_calls_behind_keep_their_order_and_do_not_pile_up():
    worker, made, gate = BackgroundWorker(2), [], threading.Event()
    worker.submit(gate.wait)
    worker.submit(lambda: made.append(1))
    threading.Timer(0.05, gate.set).start()
    start = time.monotonic()
    future = worker.submit(lambda: made.append(2) or "two")  # waits for the first
    assert time.monotonic() - start > 0.03
    worker.finish()
    assert made == [1, 2]
    assert future.result() == "two"


def test_an_error_behind_is_raised_at_the_latest_by_finish():
    worker = BackgroundWorker(4)
    worker.submit(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        worker.finish()
