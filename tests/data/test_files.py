"""Files are whole or not there, and their hashes are the published ones."""

import os
from pathlib import Path

import pytest

from data import files
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


@pytest.mark.parametrize(("windows", "refusals", "written"), [(True, 2, True), (True, 9, False), (False, 1, False)])
def test_a_file_that_is_open_elsewhere_is_waited_for_on_windows(
    windows: bool, refusals: int, written: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(b"old")
    left, waits = [refusals], []
    replace = Path.replace

    def held(draft: Path, target: Path) -> Path:
        left[0] -= 1
        if left[0] >= 0:
            raise PermissionError(13, "Access is denied")
        return replace(draft, target)

    monkeypatch.setattr(files, "HOLDS_OPEN_FILES", windows)
    monkeypatch.setattr(files.time, "sleep", waits.append)
    monkeypatch.setattr(Path, "replace", held)
    if written:
        write_atomically(tmp_path / "a", b"new")
    else:
        with pytest.raises(PermissionError):
            write_atomically(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == (b"new" if written else b"old")
    assert len(waits) == (2 if written else 4 if windows else 0)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
