"""Turn an error of the user's input into the line that a page shows."""

import sys

from engine.cli.main import INPUT_ERRORS
from engine.errors import RunFailed

MOST = 600  # characters


def line_of(error: BaseException) -> str:
    """Return an error as one line; for one that is not the user's, say so and leave its trace on the terminal.

    Args:
        error: what was raised.
    """
    known = tuple(getattr(sys.modules[module], name) for module, name in INPUT_ERRORS if module in sys.modules)
    text = " ".join(str(error).split())[:MOST]
    if isinstance(error, (*known, RunFailed)):
        return text
    if isinstance(error, OSError):
        return f"cannot be read or written: {error.strerror or text}"
    if isinstance(error, MemoryError):
        return "needs more memory than there is"
    sys.excepthook(type(error), error, error.__traceback__)
    return f"a fault of this program, {type(error).__name__}: {text}; the terminal of app.py has more"
