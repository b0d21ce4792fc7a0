"""The embedded data set: the same each time, no scan in two splits, tight boxes, safe to make twice at once."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from data import DataError, digits, load_dataset


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    counts = {"train": 6, "val": 3, "test": 3}
    monkeypatch.setattr(digits, "COUNTS", counts)
    return counts


def test_no_scan_is_in_two_splits_and_none_is_lost() -> None:
    scans = {split: {scan.tobytes() for scan in digits.glyphs(split)[0]} for split in digits.COUNTS}
    assert not scans["train"] & scans["val"]
    assert not scans["train"] & scans["test"]
    assert not scans["val"] & scans["test"]
    from sklearn.datasets import load_digits

    everything = {(image / 16).astype(np.float32).tobytes() for image in load_digits().images}
    assert set.union(*scans.values()) == everything
    for split in digits.COUNTS:
        assert (np.bincount(digits.glyphs(split)[1], minlength=10) >= 30).all()


def test_a_image_depends_on_its_number_alone() -> None:
    first = digits.make_image("val", np.random.default_rng([1, 2]))
    again = digits.make_image("val", np.random.default_rng([1, 2]))
    other = digits.make_image("val", np.random.default_rng([1, 3]))
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, two)
    assert (first[0] != other[0]).any()


def test_boxes_keep_apart_and_span_the_scales() -> None:
    heights: list[float] = []
    for number in range(40):
        image, classes, boxes = digits.make_image("train", np.random.default_rng([9, number]))
        assert image.shape == (320, 320, 3)
        assert image.dtype == np.uint8
        assert len(classes) == len(boxes) >= 1
        assert (boxes >= 0).all()
        assert (boxes <= 320).all()
        covered = np.zeros((320, 320), dtype=int)
        for x1, y1, x2, y2 in boxes.astype(int):
            covered[y1:y2, x1:x2] += 1
            heights.append(y2 - y1)
        assert covered.max() <= 1
    assert min(heights) < 16
    assert max(heights) > 90


@pytest.mark.parametrize("height", [8.0, 20.0, 120.0])
def test_a_stroke_fills_its_cut(height: float) -> None:
    scan = np.zeros((8, 8), dtype=np.float32)
    scan[:, 3:5] = 1  # a bar over all eight rows
    opacity = digits.stroke(scan, height, 0.0, 1.0)
    assert opacity.shape[0] == pytest.approx(height, rel=0.15, abs=1.5)
    assert opacity.max() == pytest.approx(1.0)
    for edge in (opacity[0], opacity[-1], opacity[:, 0], opacity[:, -1]):
        assert edge.max() >= 0.25  # something visible in each border row and column: the box is tight
    turned = digits.stroke(scan, height, 90.0, 1.0)
    assert turned.shape[1] > turned.shape[0]


def test_made_once_and_read_back(tmp_path: Path, few: dict[str, int], capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "sets" / "digits"
    assert digits.ensure(root)
    assert not digits.ensure(root)
    assert capsys.readouterr().err.count("Making the digits data set") == 1
    assert [path.name for path in root.parent.iterdir()] == ["digits"]  # no drafts are left
    dataset = load_dataset("digits", data_root=root)
    assert {name: len(split) for name, split in dataset.splits.items()} == few
    assert not dataset.issues
    image, classes, boxes = digits.make_image("val", np.random.default_rng([2024, 1, 0]))
    record = dataset["val"].records[0]
    np.testing.assert_array_equal(record.classes, classes)
    np.testing.assert_allclose(record.boxes_xyxy, boxes, atol=1e-4)
    written = cv2.imread(str(record.path))
    assert written is not None
    assert np.abs(written.astype(int) - image).mean() < 4


def test_another_version_is_made_anew_but_foreign_files_are_left_alone(tmp_path: Path, few: dict[str, int]) -> None:
    root = tmp_path / "digits"
    digits.ensure(root)
    (root / "VERSION").write_text("digits 0\n", encoding="utf-8")
    (root / "images" / "train" / "old.jpg").write_bytes(b"")
    assert digits.ensure(root)
    assert not (root / "images" / "train" / "old.jpg").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("do not delete", encoding="utf-8")
    with pytest.raises(DataError, match="exists but is no generated digits data set"):
        digits.ensure(tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").exists()


def test_the_faster_of_two_processes_wins(tmp_path: Path, few: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "digits"
    slow = digits.write

    def overtaken(draft: Path) -> None:
        monkeypatch.setattr(digits, "write", slow)
        digits.ensure(root)  # what another process does meanwhile
        slow(draft)

    monkeypatch.setattr(digits, "write", overtaken)
    assert digits.ensure(root)
    assert len(load_dataset("digits", "val", root)) == few["val"]
    assert [path.name for path in tmp_path.iterdir()] == ["digits"]


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(DataError, match="cannot be written"):
        digits.ensure(tmp_path / "file" / "digits")


def test_film(tmp_path: Path) -> None:
    file = tmp_path / "new" / "film.mp4"
    digits.write_video(file, frames=10, fps=25, size=(320, 240))
    film = cv2.VideoCapture(str(file))
    assert film.get(cv2.CAP_PROP_FPS) == 25
    shapes = []
    while (frame := film.read())[0]:
        shapes.append(frame[1].shape)
    assert shapes == [(240, 320, 3)] * 10
    with pytest.raises(DataError, match=r"use a name that ends in \.mp4 or \.avi"):
        digits.write_video(tmp_path / "film.xyz", frames=1)


def test_command_line(tmp_path: Path, root: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "y").write_text("", encoding="utf-8")
    command = [sys.executable, "-m", "data.digits", "--out", str(tmp_path / "x")]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


def test_a_folder_of_any_name_gets_its_images(tmp_path, monkeypatch):
    """On Windows OpenCV's own imwrite returns False for 张三, and writes nothing."""
    monkeypatch.setattr(cv2, "imwrite", lambda *_: False)
    monkeypatch.setattr("data.digits.COUNTS", {"train": 1, "val": 1, "test": 1})
    assert digits.ensure(tmp_path / "张三" / "digits")
    assert len(list((tmp_path / "张三").glob("digits/images/*/0000.jpg"))) == 3
