"""The engine's own errors."""


class UsageError(ValueError):
    """Report a flag, source or run folder that cannot be used; the message says which and what to write instead."""


class RunFailed(RuntimeError):
    """Report that training cannot go on, or an export is not good enough; the message says why, and what to do."""
