"""Working ahead of the main thread, and behind it: iterators and calls in threads of their own."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import Any, TypeVar

Item = TypeVar("Item")
PATIENCE = 0.1  # seconds between looks whether anybody still wants the next item


class _End:
    """After the last item; with the exception that ended it, if one did."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


def background(items: Iterable[Item], ahead: int) -> Generator[Item, None, None]:
    """Yield what an iterator yields, in its order, while a thread is up to `ahead` items further.

    The thread ends, and the iterator is closed, when this generator is exhausted or closed. An exception of the
    iterator is raised here.
    """
    queue: Queue[Any] = Queue(ahead)
    stopped = Event()
    thread = Thread(target=_work, args=(items, queue, stopped), daemon=True)
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


def _work(items: Iterable[Any], queue: Queue, stopped: Event) -> None:
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


class Behind:
    """Calls that are made in a thread of their own, in the order in which they are handed over.

    Args:
        most: calls that may wait or run; who hands over one more waits for the oldest.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.open: deque[Future[Any]] = deque()
        self.thread = ThreadPoolExecutor(1)

    def do(self, call: Callable[[], Any]) -> "Future[Any]":
        """Hand over a call; an exception of an earlier one is raised here or by `finish`."""
        while len(self.open) >= self.most:
            self.open.popleft().result()
        self.open.append(self.thread.submit(call))
        return self.open[-1]

    def finish(self) -> None:
        """Wait until all calls are made."""
        while self.open:
            self.open.popleft().result()
