"""The engine's own error for wrong input."""


class UsageError(ValueError):
    """A flag, a source or a run folder cannot be used; the message says which and what to write instead."""
