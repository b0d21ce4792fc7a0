"""Errors of this package that mean: the user's input is wrong, and the message says what to change."""

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
