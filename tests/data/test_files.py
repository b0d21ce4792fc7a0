"""Files are whole or not there, and their hashes are the published ones."""

import os
from pathlib import Path

import pytest

from data.files import file_hash, write_atomically


def test_hashes(tmp_path: Path) -> None:
    """The examples of FIPS 180-4 and RFC 1321."""
    file = tmp_path / "a"
    file.write_bytes(b"abc")
    assert file_hash(file) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert file_hash(file, "md5") == "900150983cd24fb0d6963f7d28e17f72"


def test_a_link_is_followed_and_nothing_else_is_left(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    write_atomically(tmp_path / "link", b"new")
    assert (tmp_path / "real").read_bytes() == b"new"
    assert (tmp_path / "link").is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "real"]


def test_a_refused_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(b"old")

    def refuse(handle: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="disk full"):
        write_atomically(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
