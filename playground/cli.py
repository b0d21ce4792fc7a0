"""Read the flags of app.py and start the server. No heavy imports: torch is loaded when a model is first asked for."""

import importlib.util
import socket
import sys
from argparse import Namespace
from collections.abc import Sequence

from engine.cli.parser import Parser, positive_int
from engine.errors import UsageError
from engine.runtime.paths import RUNS

LOCAL = ("127.0.0.1", "localhost", "::1")
PORTS = range(1, 65536)


def app_parser() -> Parser:
    """Return the parser of app.py."""
    parser = Parser(prog="app.py", description="Open the playground, a page in the browser on this machine.")
    parser.add_argument("--host", default=LOCAL[0], help="address to listen at; any other is reached by other machines")
    parser.add_argument("--port", type=positive_int, default=8080, help="port to listen at")
    parser.add_argument(
        "--allow", action="append", default=[], metavar="DIR", help="a folder of data or weights that the page may read"
    )
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="another name by which the page is asked for",
    )
    parser.add_argument("--runs", default=str(RUNS), metavar="DIR", help="folder of runs and studies")
    parser.add_argument(
        "--plugin", action="append", default=[], metavar="FILE", help="a Python file of your own mechanisms; it is run"
    )
    parser.add_argument("--max-upload", type=positive_int, default=200, metavar="MB", help="largest upload")
    parser.add_argument("--open", action="store_true", help="open the browser")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run app.py; 0 done, 2 the input is wrong (one line on standard error)."""
    try:
        options = app_parser().parse_args(argv)
        _check(options)
        from playground.server import serve  # the library of the page

        serve(options)
    except KeyboardInterrupt:
        return 0
    except UsageError as error:
        sys.stderr.write(f"app.py: {' '.join(str(error).split())}\n")
        return 2
    return 0


def _check(options: Namespace) -> None:
    """Make sure that the page can be served.

    Raises:
        UsageError: if the library is missing, a folder is none, or the port is taken.
    """
    if importlib.util.find_spec("nicegui") is None:
        raise UsageError("the page needs NiceGUI, which is not installed: pip install -r requirements-app.txt")
    if options.port not in PORTS:
        raise UsageError(f"--port {options.port}: is not a port; give a number up to {PORTS[-1]}")
    try:
        family = socket.getaddrinfo(options.host, options.port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((options.host, options.port))
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(
            f"--host {options.host} --port {options.port}: cannot listen there ({reason}); choose another --port"
        ) from None
