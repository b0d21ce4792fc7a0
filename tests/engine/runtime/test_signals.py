"""SIGTERM becomes KeyboardInterrupt, where Python lets it."""

import os
import signal
import threading

import pytest

from engine.runtime.signals import terminating_as_interrupt


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM between processes")
def test_a_request_to_end_is_an_interrupt_and_the_old_answer_comes_back():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), terminating_as_interrupt():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == before


def test_another_thread_goes_without():
    done = []

    def work():
        with terminating_as_interrupt():
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]
