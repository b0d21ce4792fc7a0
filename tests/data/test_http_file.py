"""One file over the network; the addresses are files of this machine."""

import hashlib
from io import BytesIO
from pathlib import Path

import pytest

from data.http_file import IncompleteDownload, download_file


class Response(BytesIO):
    """What an opener gives: bytes, and headers that may announce something else."""

    def __init__(self, content: bytes, announced: str | None = None) -> None:
        super().__init__(content)
        self.headers = {} if announced is None else {"Content-Length": announced}


def test_a_file_arrives_whole_with_its_checksum(tmp_path: Path) -> None:
    source, target = tmp_path / "a b.bin", tmp_path / "copy"
    source.write_bytes(bytes(range(256)) * 9000)  # more than one piece
    assert download_file(source.as_uri(), target) == hashlib.sha256(source.read_bytes()).hexdigest()
    assert target.read_bytes() == source.read_bytes()


@pytest.mark.parametrize("announced", [None, "", "no number", "-5", "4"])
def test_an_odd_header_is_no_error(tmp_path: Path, announced: str | None) -> None:
    assert download_file("x", tmp_path / "a", opener=lambda _: Response(b"four", announced))


def test_less_than_announced_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IncompleteDownload, match="4 of 5 bytes arrived"):
        download_file("x", tmp_path / "a", opener=lambda _: Response(b"four", "5"))


def test_more_than_the_limit_is_refused_before_it_is_written(tmp_path: Path) -> None:
    with pytest.raises(IncompleteDownload, match="more than 1 MB"):
        download_file("x", tmp_path / "a", max_bytes=1 << 20, opener=lambda _: Response(bytes(3 << 20)))
    assert (tmp_path / "a").stat().st_size <= 1 << 20


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        download_file((tmp_path / "nowhere").as_uri(), tmp_path / "a")
