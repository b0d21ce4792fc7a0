"""Errors of this package that mean: the user's input is wrong, and the message says what to change."""

import re

_MOST = 2000
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


class _InputError(ValueError):
    """An error whose message is one printable line, whatever of the user's text it quotes."""

    def __init__(self, message: object = "") -> None:
        text = _CONTROL.sub(" ", str(message))
        super().__init__(text if len(text) <= _MOST else text[: _MOST - 1] + "…")


class SpecError(_InputError):
    """A model description cannot be used; the message names the file, the row and the remedy."""


class CheckpointError(_InputError):
    """A weight file cannot be used (or written); the message names the file, the reason and the remedy."""
