"""Log by one logger, ultralytics', so that its messages and ours keep their order; usable before that is imported."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

LOGGER = logging.getLogger("ultralytics")


class _BeforeUltralytics(logging.Handler):
    """Print messages until ultralytics, once imported, adds a handler of its own."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print, unless another handler does."""
        if LOGGER.handlers == [self]:
            sys.stdout.write(f"{self.format(record)}\n")
            sys.stdout.flush()


def _settle() -> None:
    if LOGGER.handlers:
        return
    LOGGER.addHandler(_BeforeUltralytics())
    LOGGER.setLevel(logging.INFO if os.environ.get("RANK", "-1") in ("-1", "0") else logging.ERROR)
    LOGGER.propagate = False


@contextmanager
def quiet(level: int) -> Iterator[None]:
    """Suppress all messages up to a level for the time of a block."""
    logging.disable(level)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def printable(text: str) -> str:
    """Escape control characters, line ends and bytes that are no UTF-8, like \\x1b.

    A file's name may have all of them; none may reach a terminal.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


_settle()
