"""Weights by name: the network is used only when asked, and what arrives is checked."""

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from models.errors import CheckpointError
from models.weights import download
from models.weights.download import OFFICIAL, resolve_weights
from tests.models.weights.fake import save_original


class Server:
    """A server on this machine in the place of the release pages."""

    def __init__(self) -> None:
        self.content: dict[str, bytes] = {}
        self.claimed: int | None = None
        self.asked: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                name = self.path.rpartition("/")[2]
                data = outer.content.get(name)
                self.send_response(200 if data is not None else 404)
                if data is not None:
                    self.send_header("Content-Length", str(outer.claimed or len(data)))
                self.end_headers()
                self.wfile.write(data or b"")

            def log_message(self, *_: Any) -> None:
                """Be quiet."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def open(self, address: str) -> Any:
        """What `opener` gets: the official address, answered here."""
        self.asked.append(address)
        return urlopen(f"http://127.0.0.1:{self.http.server_address[1]}/{address.rpartition('/')[2]}", timeout=10)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    served = Server()
    save_original(tmp_path / "original.pt")
    served.content["yolov5s.pt"] = (tmp_path / "original.pt").read_bytes()
    yield served
    served.http.shutdown()
    served.http.server_close()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache folder; the working folder is empty."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "cache" / "weights"


def refused(_: str) -> Any:
    raise AssertionError("the network was asked")


def test_paths_are_taken_as_they_are(folder: Path) -> None:
    Path("mine.pt").write_bytes(b"x")
    assert resolve_weights("mine.pt", folder=folder, opener=refused) == Path("mine.pt")
    assert resolve_weights("mine.pt", True, folder=folder, opener=refused) == Path("mine.pt")
    Path("yolov5n.pt").write_bytes(b"the user's own")
    assert resolve_weights("yolov5n", True, folder=folder, opener=refused) == Path("yolov5n.pt")


@pytest.mark.parametrize(
    "name", ["yolov5s", "yolov5s.pt", "yolov5n6", "yolov5x6.pt", "yolov7", "yolov7-tiny.pt", "yolov7-e6e"]
)
def test_without_the_flag_nothing_is_fetched(folder: Path, name: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        resolve_weights(name, folder=folder, opener=refused)
    message = str(caught.value)
    file = name.removesuffix(".pt") + ".pt"
    assert "\n" not in message
    assert "--download" in message
    assert OFFICIAL[file] in message
    assert str(folder / file) in message
    assert not folder.exists()


@pytest.mark.parametrize("name", ["nowhere.pt", "yolov5q", "runs/yolov5s.pt", "https://example.com/yolov5s.pt", ""])
def test_other_names_are_never_fetched(folder: Path, name: str) -> None:
    with pytest.raises(CheckpointError, match=r"no such file|a folder"):
        resolve_weights(name, True, folder=folder, opener=refused)


def test_addresses_are_the_official_releases() -> None:
    assert OFFICIAL["yolov5n.pt"] == "https://github.com/ultralytics/yolov5/releases/download/v7.0/yolov5n.pt"
    assert OFFICIAL["yolov7-w6_training.pt"] == (
        "https://github.com/WongKinYiu/yolov7/releases/download/v0.1/yolov7-w6_training.pt"
    )
    assert {f"yolov5{size}{six}.pt" for size in "nsmlx" for six in ("", "6")} <= set(OFFICIAL)


def test_fetch_shows_keeps_and_remembers(server: Server, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = resolve_weights("yolov5s", True, folder=folder, opener=server.open)
    data = server.content["yolov5s.pt"]
    sha = hashlib.sha256(data).hexdigest()
    assert found == folder / "yolov5s.pt"
    assert found.read_bytes() == data
    assert server.asked == [OFFICIAL["yolov5s.pt"]]
    shown = capsys.readouterr()
    assert shown.out == ""
    assert f"Downloading {OFFICIAL['yolov5s.pt']} to {found}" in shown.err
    assert "100%" in shown.err
    assert f"yolov5s.pt: sha256 {sha} (not known before; remembered)" in shown.err
    assert json.loads((folder / "sha256.json").read_text()) == {"yolov5s.pt": sha}
    assert {entry.name for entry in folder.iterdir()} == {"yolov5s.pt", "sha256.json"}
    assert resolve_weights("yolov5s.pt", folder=folder, opener=refused) == found


def test_a_file_that_changed_is_not_used(server: Server, folder: Path) -> None:
    found = resolve_weights("yolov5s", True, folder=folder, opener=server.open)
    found.write_bytes(found.read_bytes() + b"x")
    with pytest.raises(CheckpointError, match=r"its sha256 is \w{64}, expected \w{64}; delete it and fetch it again"):
        resolve_weights("yolov5s", folder=folder, opener=refused)


def test_another_file_than_last_time_is_refused(server: Server, folder: Path, tmp_path: Path) -> None:
    resolve_weights("yolov5s", True, folder=folder, opener=server.open).unlink()
    save_original(tmp_path / "other.pt")
    server.content["yolov5s.pt"] = (tmp_path / "other.pt").read_bytes()
    with pytest.raises(CheckpointError, match=r"yolov5s\.pt: its sha256 is .* expected"):
        resolve_weights("yolov5s", True, folder=folder, opener=server.open)
    assert {entry.name for entry in folder.iterdir()} == {"sha256.json"}


def test_the_known_checksum_is_checked(server: Server, folder: Path) -> None:
    server.content["yolov5n.pt"] = server.content["yolov5s.pt"]
    with pytest.raises(
        CheckpointError, match="expected 4f180cf23ba0717ada0badd6c685026d73d48f184d00fc159c2641284b2ac0a3"
    ):
        resolve_weights("yolov5n", True, folder=folder, opener=server.open)
    assert list(folder.iterdir()) == []


def test_the_real_file_has_the_known_checksum(shared: Path, server: Server, folder: Path) -> None:
    server.content["yolov5n.pt"] = (shared / "weights" / "yolov5n.pt").read_bytes()
    assert resolve_weights("yolov5n", True, folder=folder, opener=server.open).stat().st_size == 4_062_133


def test_pages_that_are_no_weights(server: Server, folder: Path) -> None:
    server.content["yolov5s.pt"] = b"<html>Please log in</html>"
    with pytest.raises(CheckpointError, match=r"yolov5s\.pt as downloaded: a web page instead of weights"):
        resolve_weights("yolov5s", True, folder=folder, opener=server.open)
    assert list(folder.iterdir()) == []


def test_missing_cut_off_and_offline(server: Server, folder: Path) -> None:
    remedy = rf"get {OFFICIAL['yolov5m.pt']} yourself and put it at {folder / 'yolov5m.pt'}"
    with pytest.raises(CheckpointError, match=rf"yolov5m\.pt: the server answers 404 Not Found; {remedy}"):
        resolve_weights("yolov5m", True, folder=folder, opener=server.open)
    server.claimed = 1_000_000
    with pytest.raises(CheckpointError, match=r"yolov5s\.pt.*(bytes arrived|cannot be downloaded)"):
        resolve_weights("yolov5s", True, folder=folder, opener=server.open)

    def offline(_: str) -> Any:
        raise URLError(OSError("Network is unreachable"))

    with pytest.raises(
        CheckpointError, match=rf"yolov5m\.pt: cannot be downloaded \(Network is unreachable\); {remedy}"
    ):
        resolve_weights("yolov5m", True, folder=folder, opener=offline)
    assert list(folder.iterdir()) == []


def test_endless_answers_end(server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "_MAX_BYTES", 1000)
    with pytest.raises(CheckpointError, match="not the official file"):
        resolve_weights("yolov5s", True, folder=folder, opener=server.open)
    assert list(folder.iterdir()) == []


def test_a_cache_that_cannot_be_written(server: Server, folder: Path) -> None:
    folder.parent.write_text("a file in the way")
    with pytest.raises(CheckpointError, match=r"yolov5s\.pt: cannot be saved \((Not a directory|File exists)\); get"):
        resolve_weights("yolov5s", True, folder=folder, opener=server.open)


def test_the_cache_folder_can_be_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YOLO_ATTENTION_CACHE", str(tmp_path / "own"))
    with pytest.raises(CheckpointError, match=str(tmp_path / "own" / "weights" / "yolov5l.pt")):
        resolve_weights("yolov5l")
