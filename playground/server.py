"""Serve the pages on this machine."""

import atexit
import os
import sys
from argparse import Namespace
from pathlib import Path

from playground.access import Access
from playground.guard import Guard
from playground.session import Session

RECONNECT = 60.0  # seconds; loading torch can hold up the server for longer than NiceGUI's 3, which loses the answer
ICON = Path(__file__).with_name("static") / "icon.svg"


def serve(options: Namespace) -> None:
    """Serve until the process is interrupted.

    Args:
        options: flags of app.py.

    Raises:
        UsageError: if a folder is wrong.
    """
    access = Access(options.allow, options.runs, options.max_upload << 20)
    atexit.register(access.close)  # also where the server never came up
    os.environ.setdefault("NICEGUI_STORAGE_PATH", str(access.uploads / "storage"))  # nothing is kept in it
    os.environ |= {"OTEL_SDK_DISABLED": "true", "FASTAPI_OTEL_AUTO_CONFIGURE": "false"}  # nothing is reported anywhere
    from nicegui import app, ui

    from playground.pages import register

    session = Session(access, options.plugin)
    register(session)
    hosts = {"127.0.0.1", "localhost", "::1", options.host.strip("[]"), *options.allow_host}
    app.add_middleware(Guard, hosts=hosts, max_body=access.max_upload)
    app.add_static_files("/static", Path(__file__).with_name("static"))
    app.on_startup(lambda: _greet(options))
    app.on_shutdown(session.close)
    ui.run(
        host=options.host,
        port=options.port,
        title="yolo-attention",
        favicon=ICON,
        reload=False,
        show=options.open,
        show_welcome_message=False,
        dark=None,
        ws_max_size=8 << 20,
        reconnect_timeout=RECONNECT,
    )


def _greet(options: Namespace) -> None:
    name = f"[{options.host}]" if ":" in options.host else options.host
    sys.stdout.write(f"playground: http://{name}:{options.port} (Ctrl+C ends it)\n")
    if options.host not in ("127.0.0.1", "localhost", "::1"):
        sys.stdout.write("note: whoever reaches this address can start trainings here and read the allowed folders\n")
    sys.stdout.flush()
