"""Turn an error of the user's input into the line that a page shows."""

import sys

from engine.cli.main import INPUT_ERRORS
from engine.errors import RunFailed
from playground.errors import PageError
from playground.texts import LANGUAGES, Texts

MOST = 600  # characters


def line_of(error: BaseException, say: Texts | None = None) -> str:
    """Return an error as one line; for one that is not the user's, say so and leave its trace on the terminal.

    Args:
        error: what was raised.
        say: the words of the page; None is English. What the scripts say stays English, and is marked as theirs.
    """
    say = say or Texts(LANGUAGES[0])
    if isinstance(error, PageError):
        return " ".join(error.line(say).split())[:MOST]
    known = tuple(getattr(sys.modules[module], name) for module, name in INPUT_ERRORS if module in sys.modules)
    text = " ".join(str(error).split())[:MOST]
    if isinstance(error, (*known, RunFailed)):
        return say("from_scripts", line=text)
    if isinstance(error, OSError):
        return say("no_access", why=error.strerror or text)
    if isinstance(error, MemoryError):
        return say("no_memory")
    sys.excepthook(type(error), error, error.__traceback__)
    return say("own_fault", kind=type(error).__name__, line=text)
