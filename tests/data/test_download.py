"""Downloads happen only when asked for, are checked, and scripts are never run; file:// stands for the network."""

import hashlib
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from data import DataError, download, load_dataset, read_config
from data.download import Archive, plan, verify


@pytest.fixture
def archive(tmp_path: Path, image: Callable[..., Path]) -> Path:
    source = image(tmp_path / "x.png")
    file = tmp_path / "mini.zip"
    with zipfile.ZipFile(file, "w") as handle:
        handle.write(source, "mini/images/train/a.png")
        handle.writestr("mini/labels/train/a.txt", "0 .5 .5 .1 .1")
    return file


def config_text(tmp_path: Path, entry: str) -> Path:
    file = tmp_path / "mini.yaml"
    file.write_text(f"path: sets/mini\ntrain: images/train\nnames: [x]\ndownload: {entry}\n", encoding="utf-8")
    return file


@pytest.mark.parametrize(("name", "size"), [("coco", "20.4 GB"), ("coco128", "7 MB"), ("VOC", "2.8 GB")])
def test_included_sets_say_how_to_get_them(name: str, size: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"put the data in .* or name their folder .*--download \({size}\)") as error:
        load_dataset(name, data_root=tmp_path)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_every_included_archive_has_a_checksum_or_is_small() -> None:
    for name in ("coco", "VOC"):
        archives = plan(read_config(name))
        assert len(archives) == 3
        assert all(archive.md5 and len(archive.md5) == 32 and archive.gives for archive in archives)
    assert [archive.md5 for archive in plan(read_config("coco128"))] == [None]


def test_fetched_unpacked_and_remembered(
    tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(download._KNOWN, "coco128", [Archive(archive.as_uri(), skip_top=True, gives=("images",))])
    file = config_text(tmp_path, "coco128")
    with pytest.raises(DataError, match="--download"):
        load_dataset(file)
    dataset = load_dataset(file, download=True)
    assert len(dataset.records[0]) == 1
    err = capsys.readouterr().err
    assert f"Fetching {archive.as_uri()}" in err
    assert hashlib.sha256(archive.read_bytes()).hexdigest() in err
    assert sorted(path.name for path in (tmp_path / "sets" / "mini").iterdir()) == ["images", "labels"]
    archive.unlink()
    assert len(load_dataset(file, download=True)) == 1  # it is there: nothing is fetched again


def test_a_changed_archive_is_refused_and_nothing_is_unpacked(
    tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = config_text(tmp_path, "coco128")
    monkeypatch.setitem(download._KNOWN, "coco128", [Archive(archive.as_uri(), md5="0" * 32)])
    with pytest.raises(DataError, match=r"MD5 is .*, should be 0000"):
        load_dataset(file, download=True)
    assert not list((tmp_path / "sets" / "mini").iterdir())
    verify(Archive("http://x/y.zip"), archive)
    archive.write_bytes(b"something else")
    with pytest.raises(DataError, match=r"SHA-256 is .*, last time"):
        verify(Archive("http://x/y.zip"), archive)


def test_unreachable_and_broken_archives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = config_text(tmp_path, "coco128")
    monkeypatch.setitem(download._KNOWN, "coco128", [Archive((tmp_path / "gone.zip").as_uri())])
    with pytest.raises(DataError, match=r"gone\.zip: cannot be fetched: .*No such file"):
        load_dataset(file, download=True)
    (tmp_path / "gone.zip").write_bytes(b"no zip")
    with pytest.raises(DataError, match=r"gone\.zip: cannot be fetched"):
        load_dataset(file, download=True)


def test_an_archive_cannot_write_outside(tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(archive, "a") as handle:
        handle.writestr("../../../evil.txt", "x")
    monkeypatch.setitem(download._KNOWN, "coco128", [Archive(archive.as_uri())])
    with pytest.raises(DataError):  # images/ is not where the YAML says
        load_dataset(config_text(tmp_path, "coco128"), download=True)
    outside = [path for path in tmp_path.rglob("evil.txt") if tmp_path / "sets" / "mini" not in path.parents]
    assert not outside


@pytest.mark.parametrize(
    "entry", ["bash get.sh", "\"import os; os.system('touch HACKED')\"", "https://a/b.zip https://c"]
)
def test_scripts_are_never_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="its download entry is a script, never run here; put the data in"):
        load_dataset(config_text(tmp_path, entry), download=True)
    assert not (tmp_path / "HACKED").exists()


def test_an_address_in_a_users_yaml_is_named_first(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"--download \(from https://example\.org/mini\.zip\)"):
        load_dataset(config_text(tmp_path, "https://example.org/mini.zip"))
