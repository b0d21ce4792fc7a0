"""Which paths the page may read, and where uploads go."""

from pathlib import Path

import pytest

from engine.errors import UsageError
from playground.access import KEPT, Access


def test_allowed_folders_are_read_and_others_are_not(access: Access, tmp_path: Path, root: Path) -> None:
    inside = tmp_path / "allowed" / "data.yaml"
    inside.write_text("nc: 1")
    assert access.resolve(str(inside)) == inside.resolve()
    assert access.resolve("data/digits.yaml") == root / "data" / "digits.yaml"
    assert access.resolve("data.yaml") == inside.resolve()
    (tmp_path / "outside.yaml").write_text("nc: 1")
    (tmp_path / "allowed" / "link.yaml").symlink_to(tmp_path / "outside.yaml")
    for name in (tmp_path / "outside.yaml", tmp_path / "allowed" / "link.yaml", tmp_path / "allowed/../outside.yaml"):
        with pytest.raises(UsageError, match="--allow"):
            access.resolve(str(name))
    with pytest.raises(UsageError, match="no such file"):
        access.resolve(str(tmp_path / "allowed" / "missing.yaml"))


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no folder"):
        Access([str(tmp_path / "missing")], str(tmp_path), 1)


def test_an_upload_goes_to_the_temporary_folder_whatever_its_name(access: Access, tmp_path: Path) -> None:
    for name in ("../../evil.yaml", "/etc/x.yaml", "..\\evil.yaml", "a\0b.yaml", "x" * 5000 + ".yaml"):
        path = access.store(name, b"nc: 1", "model")
        assert path.is_relative_to(access.uploads)
        assert path.name == "upload.yaml"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["allowed"]
    for _ in range(KEPT + 5):
        access.store("x.yaml", b"", "model")
    assert len(list(access.uploads.iterdir())) == KEPT
