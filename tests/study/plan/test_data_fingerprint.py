"""The hash of a split, with and without what is remembered of large ones."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from data import load_dataset
from study.plan import data_fingerprint
from study.plan.data_fingerprint import split_fingerprint


@pytest.fixture
def records(tiny_data: Path, tmp_path: Path) -> list[Any]:
    """Images of the small data set, copied."""
    copied = []
    for record in load_dataset(tiny_data, "train")["train"].records:
        path = tmp_path / record.path.name
        path.write_bytes(record.path.read_bytes())
        copied.append(replace(record, path=path))
    return copied


@pytest.mark.parametrize("large", [False, True])
def test_every_byte_and_box_counts_and_the_place_does_not(
    records: list[Any], large: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("YOLO_ATTENTION_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(data_fingerprint, "_WORTHWHILE", 1 if large else 100)
    before = split_fingerprint(records)
    assert split_fingerprint(records) == before
    assert split_fingerprint(records[::-1]) != before
    assert split_fingerprint([replace(records[0], difficult=~records[0].difficult), *records[1:]]) != before
    (tmp_path / "moved").mkdir()
    moved = [replace(r, path=r.path.rename(tmp_path / "moved" / r.path.name)) for r in records]
    assert split_fingerprint(moved) == before
    image = moved[0].path
    content = bytearray(image.read_bytes())
    content[-20] ^= 1
    image.write_bytes(content)  # of the same size
    os.utime(image, ns=(1, 1))
    assert split_fingerprint(moved) != before


def test_images_of_a_large_set_are_read_once(
    records: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("YOLO_ATTENTION_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(data_fingerprint, "_WORTHWHILE", 1)
    read: list[Path] = []
    real: Callable[[Path], str] = data_fingerprint.file_hash

    def counted(path: Path) -> str:
        read.append(path)
        return real(path)

    monkeypatch.setattr(data_fingerprint, "file_hash", counted)
    before = split_fingerprint(records)
    assert len(read) == len(records)
    os.utime(records[0].path, ns=(1, 1))
    assert split_fingerprint(records) == before
    assert read[len(records) :] == [records[0].path]
