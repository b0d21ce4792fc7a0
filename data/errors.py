"""Define the error to raise when the user's data are at fault, and how a tool says it."""

import sys
from collections.abc import Callable


class DataError(ValueError):
    """A data set or its YAML cannot be used; the text is one line that names file, key and remedy."""


class NotUtf8Error(DataError):
    """A text file is in another encoding than UTF-8; whatever else seems wrong about it, this is why."""


def guarded(run: Callable[[], int]) -> int:
    """Run a tool and return its exit code: 2, with one line on standard error, where the user's files are at fault."""
    try:
        return run()
    except DataError as error:
        message = str(error)
    except OSError as error:
        message = f"{error.filename}: cannot be read or written: {error.strerror}"
    print(message, file=sys.stderr)  # noqa: T201
    return 2
