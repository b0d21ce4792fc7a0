"""Where labels are looked for, and what is said when none is there."""

from collections.abc import Callable
from pathlib import Path

import pytest

from data import doctor, load_dataset
from data.formats.label_files import find_label

BOX = "0 0.5 0.5 0.2 0.2\n"


def write(path: Path, text: str = BOX) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_labels_are_looked_for_in_labels_then_beside_the_image(tmp_path: Path, image: Callable[..., Path]) -> None:
    first, second = (image(tmp_path / "images" / name) for name in ("a.png", "b.png"))
    beside = write(tmp_path / "images" / "a.txt")
    assert find_label(first) == beside
    assert find_label(second) == tmp_path / "labels" / "b.txt"
    usual = write(tmp_path / "labels" / "a.txt")
    assert find_label(first) == usual


@pytest.mark.parametrize(
    "place",
    ["Labels/train/a.txt", "label/a.txt", "labels/train/a.TXT", "labels/a.txt", "labels/train/a.png.txt", "xml/a.xml"],
)
def test_labels_that_lie_elsewhere_are_a_problem_that_names_them(
    tmp_path: Path, image: Callable[..., Path], place: str
) -> None:
    image(tmp_path / "images" / "train" / "a.png")
    write(tmp_path / place)
    report = doctor({"path": str(tmp_path), "train": "images/train", "names": ["x"]})
    problem = next(issue for issue in report.problems if issue.kind == "labels-elsewhere")
    assert str(tmp_path / place) in problem.message
    assert f"looked for {tmp_path / 'labels' / 'train' / 'a.txt'}" in problem.message


def test_one_label_file_is_enough_for_the_others_to_be_images_of_nothing(
    tmp_path: Path, image: Callable[..., Path]
) -> None:
    for name in ("a", "b", "c"):
        image(tmp_path / "images" / f"{name}.png")
    write(tmp_path / "labels" / "a.txt")
    write(tmp_path / "elsewhere" / "b.txt")
    dataset = load_dataset({"path": str(tmp_path), "train": "images", "names": ["x"]})
    assert [issue.kind for issue in dataset.issues] == ["no-label", "no-label"]


def test_images_of_nothing_alone_are_no_problem(tmp_path: Path, image: Callable[..., Path]) -> None:
    image(tmp_path / "images" / "a.png")
    assert not doctor({"path": str(tmp_path), "train": "images", "names": ["x"]}).problems
