"""One server and one headless Chromium for all tests of the pages; without Chromium they are skipped."""

import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from socket import socket
from typing import Any

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PATIENCE = 60_000  # ms for what the page does at all; machines of CI are slow


@dataclass
class Server:
    """The page's server, and what all browsers asked for.

    Attributes:
        address: http://127.0.0.1:PORT.
        folder: in which it was started; `allowed` in it may be read, `runs` holds the runs.
        pid: of its process.
    """

    address: str
    folder: Path
    pid: int
    asked: list[str] = field(default_factory=list)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server of app.py on a free port, with a folder of its own."""
    pytest.importorskip("nicegui", reason="the page needs NiceGUI: pip install -r requirements-app.txt")
    folder = tmp_path_factory.mktemp("app")
    (folder / "allowed").mkdir()
    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "NICEGUI_"))}
    flags = ["--port", str(port), "--allow", str(folder / "allowed"), "--max-upload", "2"]
    command = [sys.executable, request.config.rootpath / "app.py", *flags]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, env=plain, stdout=log, stderr=log)
    made = Server(f"http://127.0.0.1:{port}", folder, process.pid)
    for _ in range(300):
        try:
            urllib.request.urlopen(f"{made.address}/static/icon.svg", timeout=5).close()
            break
        except OSError:
            assert process.poll() is None, (folder / "log").read_text()
            time.sleep(0.2)
    yield made
    process.terminate()
    process.wait(40)
    log_text = (folder / "log").read_text()
    assert "Traceback" not in log_text, log_text[-3000:]


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Headless Chromium."""
    # Ubuntu's package of the name is a script that fetches a snap, or says that it cannot.
    if CHROMIUM is None or subprocess.run([CHROMIUM, "--version"], capture_output=True).returncode:
        pytest.skip("no Chromium on this machine: apt install chromium")
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with api.sync_playwright() as playwright:
        # Chromium's own background services would ask its maker's servers, whatever the page does.
        flags = ["--no-sandbox", "--disable-background-networking", "--disable-dev-shm-usage"]
        made = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield made
        made.close()


@pytest.fixture
def page(server: Server, browser: Any) -> Iterator[Any]:
    """A page of 1280 × 900 pixels; its console stays without errors, and it asks nobody but this server."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-US", base_url=server.address)
    context.set_default_timeout(PATIENCE)
    made, errors, asked = context.new_page(), [], []
    made.on("console", lambda message: errors.append(message.text) if message.type in ("error", "warning") else None)
    made.on("pageerror", lambda error: errors.append(str(error)))
    made.on("request", lambda one: asked.append(one.url))
    made.on("websocket", lambda one: asked.append(one.url.replace("ws:", "http:")))
    open_page = made.goto

    def goto(address: str) -> None:
        open_page(address)
        if address.startswith("/"):  # before the handshake what is typed and what is clicked may arrive in any order
            made.wait_for_function("window.did_handshake === true")

    made.goto = goto
    yield made
    context.close()
    assert not errors
    assert asked
    assert [url for url in asked if not url.startswith((f"{server.address}/", "data:", "blob:"))] == []
