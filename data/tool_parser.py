"""The parser of the tools run by `python -m`. No heavy imports."""

import argparse
from typing import NoReturn


class ToolParser(argparse.ArgumentParser):
    """Parse a tool's command line; what is wrong is said in one line, with exit code 2, without the usage."""

    def error(self, message: str) -> NoReturn:
        """Leave with the one line.

        Raises:
            SystemExit: always, with code 2.
        """
        self.exit(2, f"error: {message}; `{self.prog} --help` lists the flags\n")
