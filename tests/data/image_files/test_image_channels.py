"""Images of other channels than three, against ultralytics' reader and values written into them."""

import io
import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
from ultralytics.utils.patches import imread

from data import DataError, load_dataset, read_config
from data.image_files.image_channels import displayable, mismatch, read, read_reduced

DRAW = np.random.default_rng(5)
COLOUR = DRAW.integers(0, 256, (12, 9, 3), np.uint8)
DEEP = DRAW.integers(0, 1 << 16, (12, 9, 4), np.uint16)


def written(folder: Path) -> dict[str, Path]:
    paths = {name: folder / name for name in ("grey.png", "c.png", "c.jpg", "a.png", "a16.png", "a16.tiff", "five.tif")}
    cv2.imwrite(str(paths["grey.png"]), COLOUR[..., 0])
    cv2.imwrite(str(paths["c.png"]), COLOUR)
    cv2.imwrite(str(paths["c.jpg"]), COLOUR)
    cv2.imwrite(str(paths["a.png"]), (DEEP >> 8).astype(np.uint8))
    cv2.imwrite(str(paths["a16.png"]), DEEP)
    cv2.imwrite(str(paths["a16.tiff"]), DEEP)
    cv2.imwritemulti(str(paths["five.tif"]), [DEEP[..., number % 4] for number in range(5)])
    return paths


def test_as_ultralytics_reads(tmp_path: Path) -> None:
    for name, path in written(tmp_path).items():
        for channels, flag in ((1, cv2.IMREAD_GRAYSCALE), (4, cv2.IMREAD_UNCHANGED)):
            theirs = imread(path, flag)
            assert np.array_equal(read(path, channels), theirs), (name, channels)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    paths = written(tmp_path)
    assert np.array_equal(read(paths["a16.png"], 4), (DEEP >> 8).astype(np.uint8))
    assert np.array_equal(read(paths["a16.tiff"], 4), (DEEP >> 8).astype(np.uint8))
    pages = read(paths["five.tif"], 5)
    assert pages.shape == (12, 9, 5)
    assert np.array_equal(pages[..., 4], DEEP[..., 0] >> 8)
    low = (DEEP >> 6).astype(np.uint16)  # ten bits
    cv2.imwrite(str(paths["a16.png"]), low)
    stretched = read(paths["a16.png"], 4, stretch=True)
    expected = (low.astype(float) - low.min()) * 255 / (int(low.max()) - int(low.min()))
    assert np.abs(stretched - expected).max() <= 0.5 + 1e-3
    cv2.imwrite(str(paths["grey.png"]), low[..., 0])
    assert read(paths["grey.png"], 1).max() <= 3
    assert read(paths["grey.png"], 1, stretch=True).max() == 255


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (DEEP, (DEEP >> 8).astype(np.uint8)),
        (COLOUR[..., 0], COLOUR[..., :1]),
        (np.array([[[-3.0, 7.4, np.nan, 900.0]]]), np.array([[[0, 7, 0, 255]]], np.uint8)),
    ],
)
def test_numpy_files(tmp_path: Path, array: np.ndarray, expected: np.ndarray) -> None:
    np.save(tmp_path / "x.npy", array)
    assert np.array_equal(read(tmp_path / "x.npy", 4), expected)


def test_no_array_file_of_a_stranger_does_harm(tmp_path: Path) -> None:
    class Harm:
        def __reduce__(self):
            return Path.touch, (tmp_path / "harm",)

    np.save(tmp_path / "pickle.npy", np.array([Harm()]), allow_pickle=True)
    (tmp_path / "plain.npy").write_bytes(pickle.dumps(Harm()))
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": (1 << 20, 1 << 20, 4)}
    )
    (tmp_path / "huge.npy").write_bytes(header.getvalue())
    np.save(tmp_path / "text.npy", np.array(["a"]))
    np.save(tmp_path / "flat.npy", np.zeros(5))
    np.save(tmp_path / "none.npy", np.zeros((0, 4, 4)))
    for path in sorted(tmp_path.glob("*.npy")):
        assert read(path, 4) is None, path
    assert not (tmp_path / "harm").exists()


def test_what_people_see() -> None:
    assert displayable(COLOUR) is COLOUR
    assert np.array_equal(displayable(COLOUR[..., :1]), np.repeat(COLOUR[..., :1], 3, 2))
    assert np.array_equal(displayable((DEEP >> 8).astype(np.uint8)), (DEEP[..., :3] >> 8).astype(np.uint8))
    assert mismatch(COLOUR, 3) == ""
    assert mismatch(COLOUR[..., :1], 4) == "has 1 channel, and 4 are expected"


@pytest.mark.parametrize("value", [0, 65, "4", True, 3.5])
def test_a_number_of_channels_that_is_none(value: object) -> None:
    with pytest.raises(DataError, match=r"key 'channels' is .*; write 1"):
        read_config({"train": ".", "names": ["a"], "channels": value})


def test_images_of_other_channels_cost_a_line_each(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    paths = written(folder)
    np.save(folder / "own.npy", DEEP)
    np.save(folder / "a.npy", DEEP)  # beside a.png: ultralytics' copy of it
    np.save(folder / "three.npy", COLOUR)
    for path in folder.iterdir():
        path.with_suffix(".txt").write_text("0 .5 .5 .5 .5\n")
    split = load_dataset({"path": str(tmp_path), "train": "images", "names": ["x"], "channels": 4})["train"]
    assert split.channels == 4
    assert {record.path.name for record in split} == {"a.png", "a16.png", "a16.tiff", "own.npy"}
    assert {(record.width, record.height) for record in split} == {(9, 12)}
    wrong = {issue.file.name: issue.message for issue in split.issues if issue.kind == "channels"}
    assert wrong.keys() == {"grey.png", "c.png", "c.jpg", "five.tif", "three.npy"}
    assert wrong["five.tif"] == "has 5 channels, and 4 are expected"
    grey = load_dataset({"path": str(tmp_path), "train": "images", "names": ["x"], "channels": 1})["train"]
    assert {record.path.name for record in grey} == {path.name for path in paths.values()}
    assert {issue.file.name for issue in grey.issues if issue.kind == "channels"} == {"own.npy", "three.npy"}


def smooth_image(height: int, width: int) -> np.ndarray:
    noise = np.random.default_rng(2).integers(0, 256, (height // 16 + 2, width // 16 + 2, 3), np.uint8)
    return cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize(
    ("longer", "expected"), [(81, (121, 160)), (80, (61, 80)), (41, (61, 80)), (40, (31, 40)), (10, (16, 20))]
)
def test_a_jpeg_is_reduced_as_far_as_its_longer_side_allows(tmp_path: Path, longer: int, expected: tuple) -> None:
    path, image = tmp_path / "a.jpg", smooth_image(121, 160)
    cv2.imwrite(str(path), image)
    found, size = read_reduced(path, (121, 160), longer)
    assert size == (121, 160)
    assert found.shape[:2] == expected
    part = 160 // expected[1]  # the last row shows what there is of so many
    padded = np.pad(image, ((0, expected[0] * part - 121), (0, 0), (0, 0)), "edge")
    small = cv2.resize(padded, expected[::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(found.astype(int) - small).mean() < 4  # of 255


def test_what_is_no_jpeg_or_not_of_the_size_said_is_read_whole(tmp_path: Path) -> None:
    image = smooth_image(90, 160)
    for name in ("a.png", "b.jpg"):
        cv2.imwrite(str(tmp_path / name), image)
    assert read_reduced(tmp_path / "a.png", (90, 160), 40)[0].shape == image.shape
    found, size = read_reduced(tmp_path / "b.jpg", (60, 200), 40)
    assert found.shape[:2] == size == (90, 160)
    assert read_reduced(tmp_path / "b.jpg", (90, 160), 40, channels=1)[0].shape == (90, 160, 1)
    assert read_reduced(tmp_path / "none.jpg", (90, 160), 40) == (None, (90, 160))
