"""The parser of the tools run by `python -m`. No heavy imports."""

import argparse
import io
import sys
from typing import Any, NoReturn


def escape_unwritable() -> None:
    r"""Let standard output escape what it cannot hold, as standard error does: → becomes \u2192.

    What Windows gives a pipe or a file holds a few hundred characters, and names of files may be no UTF-8.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


class ToolParser(argparse.ArgumentParser):
    """Parse a tool's command line; what is wrong is said in one line, with exit code 2, without the usage."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse; --help, and what the tool prints afterwards, never fails for a character."""
        escape_unwritable()
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Leave with the one line.

        Raises:
            SystemExit: always, with code 2.
        """
        self.exit(2, f"error: {message}; `{self.prog} --help` lists the flags\n")
