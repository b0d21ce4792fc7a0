"""Turn a request to end (SIGTERM) into KeyboardInterrupt, so that files are whole and children are ended."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def terminating_as_interrupt() -> Iterator[None]:
    """Raise KeyboardInterrupt on SIGTERM for the time of a block; only Python's main thread may change what it does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
