"""Background threads: one prefetches the items of an iterator, one makes calls in their order."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import Any, TypeVar

Item = TypeVar("Item")
PATIENCE = 0.1  # seconds between looks whether anybody still wants the next item


class _End:
    """Mark the end of the items, with the exception that ended them, if one did."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


def prefetch(items: Iterable[Item], ahead: int) -> Generator[Item, None, None]:
    """Yield the items of an iterator in order, while a background thread prefetches up to `ahead` of them.

    The thread ends, and the iterator is closed, when this generator is exhausted or closed. An exception of the
    iterator is raised here.
    """
    queue: Queue[Any] = Queue(ahead)
    stopped = Event()
    thread = Thread(target=_fill, args=(items, queue, stopped), daemon=True)
    thread.start()
    try:
        while True:
            item = queue.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item
    finally:
        stopped.set()
        while True:  # let go of what was prepared for nobody
            try:
                queue.get_nowait()
            except Empty:
                break
        thread.join()


def _fill(items: Iterable[Any], queue: Queue, stopped: Event) -> None:
    end = _End()
    try:
        for item in items:
            if not _put(queue, item, stopped):
                break
    except BaseException as error:  # noqa: BLE001 - raised again where the items are wanted
        end = _End(error)
    finally:
        if hasattr(items, "close"):
            items.close()
    _put(queue, end, stopped)


def _put(queue: Queue, item: Any, stopped: Event) -> bool:
    """Wait for room; return whether the item was still wanted."""
    while not stopped.is_set():
        try:
            queue.put(item, timeout=PATIENCE)
            return True
        except Full:
            continue
    return False


class BackgroundWorker:
    """Make calls in a background thread, in the order in which they are submitted.

    Args:
        max_pending: calls that may wait or run; `submit` waits for the oldest when there are more.
    """

    def __init__(self, max_pending: int) -> None:
        self.max_pending = max_pending
        self.pending: deque[Future[Any]] = deque()
        self.thread = ThreadPoolExecutor(1)

    def submit(self, call: Callable[[], Any]) -> "Future[Any]":
        """Submit a call and return its future; an exception of an earlier one is raised here or by `finish`."""
        while len(self.pending) >= self.max_pending:
            self.pending.popleft().result()
        self.pending.append(self.thread.submit(call))
        return self.pending[-1]

    def finish(self) -> None:
        """Wait until all calls are made."""
        while self.pending:
            self.pending.popleft().result()
