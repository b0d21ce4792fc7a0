"""What is remembered of images must never outlive their change."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from data import cache
from data.cache import cache_folder, probe_cached, write_atomically


@pytest.fixture
def images(tmp_path: Path, image: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    monkeypatch.setattr(cache, "_WORTHWHILE", 2)
    return [image(tmp_path / f"{width}.png", width, 10) for width in (10, 20, 30)] + [tmp_path / "gone.png"]


def test_known_images_are_not_opened_again(images: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    first = probe_cached(images)
    opened: list[Path] = []
    real = cache.probe_all

    def spy(paths: list[Path], progress: object = None) -> list:
        opened.extend(paths)
        return real(paths)

    monkeypatch.setattr(cache, "probe_all", spy)
    assert probe_cached(images) == first
    assert [path.name for path in opened] == ["gone.png"]  # it might have come back
    assert [metadata.width for metadata in first] == [10, 20, 30, 0]


def test_a_changed_image_is_looked_at_again(images: list[Path], image: Callable[..., Path]) -> None:
    probe_cached(images)
    image(images[0], 77, 10)
    images[1].write_bytes(b"")
    assert [metadata.width for metadata in probe_cached(images)] == [77, 0, 30, 0]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"version": 0, "images": {}}', b"\xff"])
def test_a_broken_memory_is_ignored(images: list[Path], own_cache: Path, content: bytes) -> None:
    probe_cached(images)
    (file,) = (own_cache / "images").iterdir()
    file.write_bytes(content)
    assert [metadata.width for metadata in probe_cached(images)] == [10, 20, 30, 0]
    assert json.loads(file.read_bytes())["version"] == cache._VERSION


def test_progress_counts_every_image(images: list[Path]) -> None:
    for _ in range(2):
        ticks: list[int] = []
        probe_cached(images, ticks.append)
        assert sum(ticks) == len(images)


def test_where_it_is_kept(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_folder() == own_cache
    monkeypatch.delenv("YOLO_ATTENTION_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(own_cache / "xdg"))
    assert cache_folder() == own_cache / "xdg" / "yolo-attention"


def test_a_place_that_cannot_be_written_costs_nothing(
    images: list[Path], own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (own_cache / "file").touch()
    monkeypatch.setenv("YOLO_ATTENTION_CACHE", str(own_cache / "file"))
    assert [metadata.width for metadata in probe_cached(images)] == [10, 20, 30, 0]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "x.json"
    write_atomically(file, b"old")
    monkeypatch.setattr(os, "fdopen", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_atomically(file, b"new")
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]
