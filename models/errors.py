"""Errors of this package that mean: the user's input is wrong, and the message says what to change."""

import sys
from collections.abc import Callable

_MOST = 2000


class _InputError(ValueError):
    """An error whose message is one printable line, whatever of the user's text it quotes."""

    def __init__(self, message: object = "") -> None:
        text = "".join(letter if letter.isprintable() else " " for letter in str(message))
        super().__init__(text if len(text) <= _MOST else text[: _MOST - 1] + "…")


class SpecError(_InputError):
    """A model description cannot be used; the message names the file, the row and the remedy."""


class CheckpointError(_InputError):
    """A weight file cannot be used (or written); the message names the file, the reason and the remedy."""


def short(value: object) -> str:
    """Return a value as it reads in a message."""
    text = str(value) if isinstance(value, list | tuple | dict) else repr(value)
    return text if len(text) <= 120 else text[:117] + "…"


def guarded(run: Callable[[], None]) -> int:
    """Call; turn errors of the user's input into one line and exit code 2."""
    try:
        run()
    except (SpecError, CheckpointError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 2
    return 0
