"""Conversion between the formats: nothing is lost that the target can hold, and what is lost is listed."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from data import DataError, Dataset, Record, Split, load_dataset
from data.convert import convert, main


def rich(tmp_path: Path, image: Callable[..., Path]) -> Dataset:
    """Two splits with equal file names, difficult and crowd objects, areas and ids of their own."""

    def record(split: str, ident: int, suffix: str = "png") -> Record:
        path = image(tmp_path / "source" / split / f"one.{suffix}", seed=ident)
        return Record(
            path,
            100,
            80,
            np.array([0, 1, 1, 0]),
            np.array([[10, 20, 30.5, 40], [0, 0, 100, 80], [1, 2, 3, 4], [33.333333, 1, 50, 60]]),
            np.array([False, True, False, False]),
            np.array([False, False, True, False]),
            np.array([410, 8000, 3.5, 983.333353]),
            ident,
        )

    splits = {
        "train": Split("train", [record("train", 40), record("train/sub", 7)]),
        "val": Split("val", [record("val", 5)]),
    }
    return Dataset("rich", {0: "a & b", 1: "ümlaut: c"}, "coco", splits, {0: 3, 1: 90})


def same(one: Record, two: Record, *fields: str) -> None:
    for field in ("width", "height", *fields):
        np.testing.assert_array_equal(getattr(one, field), getattr(two, field), err_msg=field)
    assert one.path.read_bytes() == two.path.read_bytes()


def test_coco_holds_everything(tmp_path: Path, image: Callable[..., Path]) -> None:
    dataset = rich(tmp_path, image)
    assert convert(dataset, tmp_path / "out", "coco") == {}
    back = load_dataset(tmp_path / "out")
    assert back.names == dataset.names
    assert back.category_ids == dataset.category_ids
    assert not back.issues
    for one, two in zip(dataset, back, strict=True):
        same(one, two, "classes", "boxes_xyxy", "difficult", "crowd", "area", "image_id")


def test_voc_holds_difficult_objects(tmp_path: Path, image: Callable[..., Path]) -> None:
    dataset = rich(tmp_path, image)
    assert convert(dataset, tmp_path / "out", "voc") == {
        "crowd regions written as difficult objects": 3,
        "object areas other than width × height": 3,
        "image ids": 3,
        "category ids": 2,
    }
    back = load_dataset(tmp_path / "out")
    assert not back.issues
    for one, two in zip(dataset, back, strict=True):
        same(one, two, "classes", "boxes_xyxy")
        np.testing.assert_array_equal(two.difficult, one.difficult | one.crowd)


def test_yolo_leaves_out_what_it_cannot_mark(tmp_path: Path, image: Callable[..., Path]) -> None:
    dataset = rich(tmp_path, image)
    losses = convert(dataset, tmp_path / "out", "yolo", images="link")
    assert losses["crowd regions left out"] == 3
    assert losses["difficult objects left out"] == 3
    back = load_dataset(tmp_path / "out")
    for one, two in zip(dataset, back, strict=True):
        assert two.path.is_symlink()
        np.testing.assert_array_equal(two.boxes_xyxy, one.boxes_xyxy[[0, 3]])
        np.testing.assert_array_equal(two.classes, one.classes[[0, 3]])
    names = sorted(path.name for path in (tmp_path / "out" / "images").rglob("*.png"))
    assert len(set(names)) == 3  # all three images were called one.png


@pytest.mark.parametrize("first", ["yolo", "voc", "coco"])
@pytest.mark.parametrize("second", ["yolo", "voc", "coco"])
def test_blood_cells_are_the_same_in_every_format(shared: Path, tmp_path: Path, first: str, second: str) -> None:
    dataset = load_dataset("bccd", "val", shared / "data" / "bccd")
    convert(dataset, tmp_path / "one", first, images="link")
    convert(load_dataset(tmp_path / "one"), tmp_path / "two", second, images="link")
    back = load_dataset(tmp_path / "two")
    assert back.names == dataset.names
    assert not back.issues
    assert [record.path.name for record in back] == [record.path.name for record in dataset]
    for one, two in zip(dataset, back, strict=True):
        same(one, two, "classes", "boxes_xyxy", "area", "difficult")


def test_suffixes_say_what_the_files_are(tmp_path: Path, image: Callable[..., Path]) -> None:
    real = image(tmp_path / "set" / "images" / "x.png")
    real.rename(real.with_suffix(".jpg"))
    dataset = load_dataset({"path": str(tmp_path / "set"), "train": "images", "names": ["a"]})
    convert(dataset, tmp_path / "out", "yolo")
    assert [path.name for path in (tmp_path / "out" / "images" / "train").iterdir()] == ["x.png"]


def test_what_the_source_says_beyond_boxes_is_counted(tmp_path: Path, image: Callable[..., Path]) -> None:
    image(tmp_path / "images" / "a.png")
    annotation = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 9, 9], "segmentation": [[1, 1, 9, 1, 9, 9]]}
    content = {
        "images": [{"id": 1, "file_name": "a.png", "width": 100, "height": 80}],
        "annotations": [annotation],
        "categories": [{"id": 1, "name": "x"}],
    }
    (tmp_path / "x.json").write_text(json.dumps(content), encoding="utf-8")
    dataset = load_dataset({"path": str(tmp_path), "train": "x.json"})
    assert convert(dataset, tmp_path / "out", "coco") == {"segmentations": 1}


def test_refusals(tmp_path: Path, image: Callable[..., Path]) -> None:
    dataset = rich(tmp_path, image)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("", encoding="utf-8")
    with pytest.raises(DataError, match="is not empty; name a new folder"):
        convert(dataset, tmp_path / "full", "yolo")
    with pytest.raises(DataError, match="format 'pascal' is unknown; write one of yolo, voc, coco"):
        convert(dataset, tmp_path / "out", "pascal")
    with pytest.raises(DataError, match="write one of copy, link"):
        convert(dataset, tmp_path / "out", "yolo", images="move")
    with pytest.raises(DataError, match="cannot be written"):
        convert(dataset, tmp_path / "full" / "x" / "y", "yolo")


def test_command_line(yolo_set: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = yolo_set({"train": {"a": "0 .5 .5 .1 .1\n0 .5 .5 0 0"}})
    assert main([str(file), str(tmp_path / "out"), "--to", "voc"]) == 0
    out = capsys.readouterr().out
    assert "1 zero-size (dropped)" in out
    assert str(tmp_path / "out" / "data.yaml") in out
    assert main([str(tmp_path / "none.yaml"), str(tmp_path / "x"), "--to", "voc"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_runs_as_a_module(root: Path) -> None:
    command = [sys.executable, "-m", "data.convert", "--help"]
    assert "--to" in subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout


def test_where_no_links_can_be_made_images_are_copied(
    tmp_path: Path, image: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows lets few accounts make links."""

    def refuse(*_: object) -> None:
        raise OSError(1314, "A required privilege is not held by the client")

    dataset = rich(tmp_path, image)
    monkeypatch.setattr(Path, "symlink_to", refuse)
    convert(dataset, tmp_path / "out", "yolo", images="link")
    back = load_dataset(tmp_path / "out")
    assert [two.path.read_bytes() for two in back] == [one.path.read_bytes() for one in dataset]


def test_names_never_meet_however_unlucky(tmp_path: Path, image: Callable[..., Path]) -> None:
    """A link to an image where one lies already would be written through to the user's own file."""
    names = ("x/a.png", "y/a.png", "x/train_a.png", "y/y_a.png", "x/train_1_a.png", "z/A.png")
    files = [image(tmp_path / "set" / name, seed=seed) for seed, name in enumerate(names)]
    order = [files[2], files[4], files[3], files[0], files[1], files[5]]  # those that others would be called come first
    before = [file.read_bytes() for file in files]
    (tmp_path / "list.txt").write_text("".join(f"{file}\n" for file in order))
    dataset = load_dataset({"path": str(tmp_path), "train": "list.txt", "names": ["cat"]})
    convert(dataset, tmp_path / "out", "yolo", "link")
    written = list((tmp_path / "out" / "images" / "train").iterdir())
    assert len({path.name.casefold() for path in written}) == len(names)
    assert {path.resolve() for path in written} == set(files)
    assert [file.read_bytes() for file in files] == before
