"""Inputs from public bug reports, each with its right value."""

import csv
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from data import DataError, doctor, load_dataset
from data.image_files.image_io import register_heif
from engine.datasets.splits import load_data
from engine.detection.sources import open_source
from engine.errors import UsageError


@pytest.fixture(scope="module")
def reports(shared: Path) -> Path:
    """Folder of the reports' inputs."""
    folder = shared / "reports"
    if not folder.is_dir():
        pytest.skip(f"no reports at {folder}")
    return folder


def counts(dataset: object) -> list[tuple[int, int]]:
    return [(len(split), sum(map(len, split.records))) for split in dataset.splits.values()]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ("04-voc-tree-turned-yolo", [(3, 6), (1, 2)]),
        ("05-stray-xml/one", [(4, 8), (4, 8)]),
        ("05-stray-xml/images-labels", [(3, 6), (2, 4)]),
        ("06-labels-elsewhere/01", [(3, 6), (2, 4)]),
        ("06-labels-elsewhere/01b", [(3, 6), (2, 4)]),
        ("07-voc-id-ends-in-number/d", [(3, 3), (3, 3)]),
        ("11-voc-gbk/d", [(1, 1), (1, 1)]),
        ("12-coco-ids/numbers-as-text", [(2, 2), (2, 2)]),
        ("12-coco-ids/backslash", [(2, 2), (2, 2)]),
        ("13-windows-list/d", [(2, 4), (2, 4)]),
    ],
)
def test_images_and_boxes(reports: Path, case: str, expected: list[tuple[int, int]]) -> None:
    assert counts(load_dataset(reports / case / "data.yaml")) == expected


@pytest.mark.parametrize("case", ["05-stray-xml/one", "05-stray-xml/images-labels"])
def test_a_second_kind_of_labels_is_said(reports: Path, case: str) -> None:
    assert [issue.kind for issue in load_dataset(reports / case / "data.yaml").issues] == ["two-formats"]


@pytest.mark.parametrize(
    ("case", "near"),
    [("03b", "Labels/train/p0.txt"), ("03d", "label/train/p0.txt"), ("04", "labels/train/p0.TXT")],
)
def test_labels_elsewhere_end_training_and_are_a_problem(reports: Path, case: str, near: str) -> None:
    yaml = reports / "06-labels-elsewhere" / case / "data.yaml"
    assert any(near in issue.message for issue in doctor(yaml).problems)
    with pytest.raises(UsageError, match=f"the split 'train' has no labels: .*looked for .*{near}"):
        load_data(yaml, ("train", "val"))


def test_the_doctors_exit_code_for_labels_elsewhere(reports: Path, root: Path) -> None:
    command = [sys.executable, "-m", "data.doctor", "--strict", str(reports / "06-labels-elsewhere/03b/data.yaml")]
    assert subprocess.run(command, cwd=root, capture_output=True, check=False).returncode == 1


def test_ids_of_voc_that_end_in_a_number(reports: Path) -> None:
    dataset = load_dataset(reports / "07-voc-id-ends-in-number" / "d" / "data.yaml")
    assert [record.path.stem for record in dataset["train"]] == ["photo", "photo 1", "photo 2"]


def test_one_class(reports: Path) -> None:
    _, splits = load_data(reports / "08-single-cls" / "d" / "data.yaml", ("train", "val"), single_cls=True)
    assert [sum(map(len, splits[name].records)) for name in ("train", "val")] == [12, 4]


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("11-voc-gbk/yaml", "line 4 is not UTF-8; save it as UTF-8"),
        ("12-coco-ids/text-ids", "the id 'im0' is text; ids must be whole numbers"),
    ],
)
def test_messages_name_the_true_cause(reports: Path, case: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_dataset(reports / case / "data.yaml")


def test_a_video_of_an_odd_rate_and_the_one_after_it(reports: Path, root: Path, tmp_path: Path) -> None:
    source = reports / "02-video-frame-rate"
    command = [sys.executable, "detect.py", "--source", source, "--img", "64", "--device", "cpu", "--project", tmp_path]
    done = subprocess.run(list(map(str, command)), cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "exp").iterdir()) == ["fps211.mp4", "z-good.mp4"]
    assert cv2.VideoCapture(str(tmp_path / "exp" / "fps211.mp4")).get(cv2.CAP_PROP_FPS) == pytest.approx(
        211.22, abs=0.01
    )


def test_names_of_outputs(reports: Path, root: Path, tmp_path: Path) -> None:
    pics = reports / "10-names-of-outputs" / "pics"
    command = [
        sys.executable,
        "detect.py",
        "--source",
        pics,
        pics / "dog",
        pics / "cat",
        "--save-csv",
        "--conf",
        "0.01",
    ]
    command += ["--save-txt", "--img", "320", "--device", "cpu", "--project", tmp_path]
    done = subprocess.run(list(map(str, command)), cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    run = tmp_path / "exp"
    images = {path.name for path in run.iterdir() if path.suffix == ".jpg"}
    assert images == {"a&b.jpg", "a:b.jpg", "img [1].jpg", "1.jpg", "1-2.jpg"}
    labels = {path.stem for path in (run / "labels").iterdir()} if (run / "labels").is_dir() else set()
    assert labels <= {Path(name).stem for name in images}
    listed = dict(csv.reader((run / "outputs.csv").read_text(encoding="utf-8").splitlines()))
    assert {listed["1.jpg"], listed["1-2.jpg"]} == {str(pics / "dog" / "1.jpg"), str(pics / "cat" / "1.jpg")}


@pytest.mark.parametrize("name", ["b.flv", "b.MTS", "anim.gif"])
def test_kinds_of_video(reports: Path, name: str) -> None:
    reader = open_source(str(reports / "16-video-kinds" / name))
    kinds = [frame.kind for _, _, frames in reader for frame in frames]
    assert kinds == ["video"] * 12


def test_deep_images_are_noted_and_can_be_stretched(reports: Path) -> None:
    folder = reports / "14-deep-pictures"
    reader = open_source(str(folder))
    assert [image.max() for _, images, _ in reader for image in images] == [8, 8]
    assert [text for _, text in reader.report.notes if "at most 8 of 255" in text and "--stretch" in text] != []
    reader = open_source(str(folder), stretch=True)
    assert [image.max() for _, images, _ in reader for image in images] == [255, 255]
    assert not reader.report.notes


def test_heic_is_read_or_named(reports: Path) -> None:
    _, splits = load_data(reports / "15-heic" / "data.yaml", ("train", "val"))
    train = splits["train"]
    if register_heif():
        assert (len(train), sum(map(len, train.records))) == (6, 6)
    else:
        named = [issue.file.name for issue in train.issues if "pip install pillow-heif" in issue.message]
        assert named == ["h0.heic", "h1.heic", "h2.heic", "h3.heic"]
