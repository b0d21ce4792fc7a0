"""Errors of this package that mean: the user's input is wrong, and the message says what to change."""


class SpecError(ValueError):
    """A model description cannot be used; the message names the file, the row and the remedy."""


class CheckpointError(ValueError):
    """A weight file cannot be used (or written); the message names the file, the reason and the remedy."""
