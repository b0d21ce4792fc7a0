"""Detections as a data set that the reader of data sets takes back."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from data import load_dataset
from engine.detection.dataset_writer import DatasetWriter
from engine.detection.frames import Frame
from engine.detection.result import FrameDetections
from engine.errors import UsageError

NAMES = {0: "cat", 1: "dog"}


def detections(frame: Frame, image: np.ndarray, *rows: tuple[float, ...]) -> FrameDetections:
    table = np.array(rows, np.float32).reshape(-1, 6)
    return FrameDetections(image, frame, table[:, :4], table[:, 4], table[:, 5].astype(int), NAMES)


@pytest.mark.parametrize("link", [False, True])
def test_what_is_written_is_read_back(tmp_path: Path, link: bool) -> None:
    image = np.random.default_rng(0).integers(0, 255, (40, 80, 3), np.uint8)
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        cv2.imwrite(str(tmp_path / folder / "same.png"), image)
        (tmp_path / folder / "same.txt").write_text("mine")
    writer = DatasetWriter(tmp_path / "out", link)
    writer.begin(NAMES, 0.25, 3)
    for folder in ("a", "b"):
        row = (10.25, 5, 30, 25.5, 0.875, 1)
        writer.write(detections(Frame(str(tmp_path / folder / "same.png")), image, row, (0, 0, 9, 9, 0.3, 0)))
    for number in (1, 2):
        writer.write(detections(Frame("film.mp4", "video", number), image))
    made = load_dataset(tmp_path / "out" / "data.yaml", split="train")["train"]
    assert {record.path.name for record in made} == {"same.png", "same-2.png", "film_1.png", "film_2.png"}
    by_name = {record.path.name: record for record in made}
    assert by_name["same-2.png"].boxes_xyxy.tolist() == [pytest.approx([10.25, 5, 30, 25.5], abs=1e-4), [0, 0, 9, 9]]
    assert by_name["same-2.png"].classes.tolist() == [1, 0]
    assert len(by_name["film_2.png"]) == 0
    assert (tmp_path / "out" / "images" / "train" / "same.png").is_symlink() is link
    rows = (tmp_path / "out" / "labels" / "train" / "same.txt").read_text().splitlines()
    assert [row.split()[5] for row in rows] == ["0.875", "0.3"]
    assert (tmp_path / "a" / "same.txt").read_text() == "mine"


def test_nothing_that_exists_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "data.yaml").touch()
    with pytest.raises(UsageError, match=r"--save-dataset .*: is not empty; name a new folder"):
        DatasetWriter(tmp_path)
    with pytest.raises(UsageError, match="--save-dataset"):
        DatasetWriter(tmp_path / "data.yaml")
    assert [path.name for path in tmp_path.iterdir()] == ["data.yaml"]


def test_where_no_links_can_be_made_images_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows lets few accounts make links."""

    def refuse(*_: object) -> None:
        raise OSError(1314, "A required privilege is not held by the client")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    image = np.zeros((40, 80, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "one.png"), image)
    writer = DatasetWriter(tmp_path / "out", True)
    writer.begin(NAMES, 0.25, 3)
    writer.write(detections(Frame(str(tmp_path / "one.png")), image, (0, 0, 9, 9, 0.5, 0)))
    copy = tmp_path / "out" / "images" / "train" / "one.png"
    assert copy.read_bytes() == (tmp_path / "one.png").read_bytes()


@pytest.mark.parametrize("there", [False, True])
def test_a_data_set_without_an_image_leaves_the_folder_as_it_was(tmp_path: Path, there: bool) -> None:
    out = tmp_path / "out"
    if there:
        out.mkdir()
    for _ in range(2):  # a second run finds a new folder again
        writer = DatasetWriter(out)
        writer.begin(NAMES, 0.25, 3)
        writer.discard_if_empty()
        assert out.is_dir() == there
        assert not there or list(out.iterdir()) == []


def test_a_data_set_with_an_image_stays(tmp_path: Path) -> None:
    writer = DatasetWriter(tmp_path / "out")
    writer.begin(NAMES, 0.25, 3)
    writer.write(detections(Frame("film.mp4", "video", 1), np.zeros((8, 8, 3), np.uint8)))
    writer.discard_if_empty()
    assert (tmp_path / "out" / "images" / "train" / "film_1.png").is_file()
    assert (tmp_path / "out" / "data.yaml").is_file()
