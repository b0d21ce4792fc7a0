"""The engine's own errors."""


class UsageError(ValueError):
    """A flag, a source or a run folder cannot be used; the message says which and what to write instead."""


class RunFailed(RuntimeError):
    """Training cannot go on, or an export is not good enough; the message says why, and what to do."""
