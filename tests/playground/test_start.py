"""app.py starts without torch, says where it listens, and refuses what cannot work in one line."""

import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from socket import socket

import pytest

from playground.cli import main

pytest.importorskip("nicegui", reason="the page needs NiceGUI: pip install -r requirements-app.txt")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--port", "0"], "whole number"),
        (["--port", "99999"], "is not a port"),
        (["--allow", "missing-folder"], "is no folder"),
        (["--host", "no.such.host.invalid"], "cannot listen there"),
        (["--prt", "1"], "did you mean --port"),
    ],
)
def test_a_wrong_flag_is_one_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.count("\n") == 1


def test_a_taken_port_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert main(["--port", str(taken.getsockname()[1])]) == 2
    assert "choose another --port" in capsys.readouterr().err


def free_port() -> int:
    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux to see which libraries are loaded")
def test_the_page_is_served_without_torch(root: Path, tmp_path: Path) -> None:
    port = free_port()
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "NICEGUI_"))}
    process = subprocess.Popen(
        [sys.executable, root / "app.py", "--port", str(port)],
        cwd=tmp_path,
        env=plain,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == f"playground: http://127.0.0.1:{port} (Ctrl+C ends it)\n"
        deadline = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
                    assert answer.status == 200
                    assert "yolo-attention" in answer.read().decode()
                break
            except OSError:  # not listening yet
                assert time.monotonic() < deadline
        libraries = Path(f"/proc/{process.pid}/maps").read_text()
        assert "libpython" in libraries or "python" in libraries
        assert "torch" not in libraries
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()
    assert not list(tmp_path.iterdir())
