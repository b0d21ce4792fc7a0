"""detect.py and val.py: many images, heat maps of several, half precision; the CPU's boxes."""

import cv2
import numpy as np
import pytest

from engine.cli.main import main
from engine.cli.run_folder import DIGITS_WEIGHTS
from engine.datasets.splits import load_split

pytestmark = pytest.mark.filterwarnings("ignore")


def boxes(folder):
    return {file.name: np.loadtxt(file, ndmin=2) for file in sorted((folder / "labels").glob("*.txt"))}


def detect(source, folder, name, *flags):
    common = ["--weights", str(DIGITS_WEIGHTS), "--source", str(source), "--imgsz", "96", "--project", str(folder)]
    assert main("detect", [*common, "--name", name, "--save-txt", "--nosave", *flags]) == 0
    return folder / name


@pytest.fixture
def digits(tmp_path):
    """Three images of digits."""
    folder = tmp_path / "digits"
    folder.mkdir()
    for record in load_split("digits", "test").records[:3]:
        cv2.imwrite(str(folder / record.path.name), cv2.imread(str(record.path)))
    return folder


def test_boxes_are_the_cpus(digits, tmp_path, gpu):
    expected = boxes(detect(digits, tmp_path, "cpu", "--device", "cpu", "--backend", "torch"))
    found = boxes(detect(digits, tmp_path, "gpu", "--device", "0", "--visualize"))
    assert list(found) == list(expected)
    assert expected
    for name, rows in expected.items():
        np.testing.assert_allclose(found[name], rows, atol=2e-3)
    half = boxes(detect(digits, tmp_path, "half", "--device", "0", "--half"))
    assert sum(map(len, half.values())) == pytest.approx(sum(map(len, expected.values())), abs=2)


def test_three_hundred_images(digits, tmp_path, waits):
    image = cv2.imread(str(next(digits.iterdir())))
    many = tmp_path / "copies"
    many.mkdir()
    for number in range(300):
        cv2.imwrite(str(many / f"{number:03}.png"), image)
    with waits() as seen:
        folder = detect(many, tmp_path, "many", "--device", "0", "--batch-size", "50")
    found = list(boxes(folder).values())
    assert len(found) == 300
    assert all(np.array_equal(rows, found[0]) for rows in found)
    calls = [text for text in seen if "engine/backends" in text and not text.startswith("to device")]  # the model is
    assert len(calls) <= 6 * 3, "\n".join(calls)  # each batch: how many rows count, and those rows


@pytest.mark.parametrize("flags", [[], ["--half"]])
def test_validation(flags, tmp_path):
    common = ["--weights", str(DIGITS_WEIGHTS), "--data", "digits", "--imgsz", "64", "--noplots", "--device", "0"]
    assert main("val", [*common, "--project", str(tmp_path), "--name", "exp", "--workers", "0", *flags]) == 0
    assert (tmp_path / "exp" / "metrics.json").is_file()
