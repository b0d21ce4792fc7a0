"""load_dataset as a whole: what it promises to callers."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import data
from data import DataError, Dataset, load_dataset, read_config
from data.formats.recognition import recognise_format


def test_importing_the_package_is_cheap(root: Path) -> None:
    code = (
        "import sys, data; heavy = {'numpy', 'cv2', 'torch', 'ultralytics', 'sklearn'} & set(sys.modules); print(heavy)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_reading_imports_no_engine(root: Path, yolo_set: Callable[..., Path]) -> None:
    file = yolo_set({"train": {"a": "0 .5 .5 .1 .1"}})
    code = (
        f"import sys, data; data.load_dataset({str(file)!r}); data.doctor({str(file)!r}); "
        "print({'torch', 'ultralytics', 'attention', 'models', 'engine', 'metrics'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_every_exported_name_is_there() -> None:
    for name in data.__all__:
        found = getattr(data, name)
        assert callable(found)
        assert found.__name__.removeprefix("data.") == name  # the doctor's module, once imported, is called likewise
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = data.nonsense


def test_the_doctor_stays_a_function_after_its_module_was_imported(yolo_set: Callable[..., Path]) -> None:
    import data.doctor

    assert data.doctor(yolo_set({"train": {"a": ""}})).splits["train"]["images"] == 1


def test_splits_names_and_summary(yolo_set: Callable[..., Path]) -> None:
    file = yolo_set(
        {"train": {"a": "0 .5 .5 .1 .1\n1 .2 .2 .1 .1\n7 .5 .5 .1 .1", "b": ""}, "val": {"c": "1 .5 .5 .2 .2"}}
    )
    dataset = load_dataset(file)
    assert isinstance(dataset, Dataset)
    assert dataset.names == {0: "cat", 1: "dog"}
    assert dataset.nc == 2
    assert len(dataset) == len(list(dataset)) == 3
    assert [record.image_id for record in dataset["train"]] == [0, 1]
    assert dataset["train"].summary() == {("unknown-class", "dropped"): 1}
    assert dataset.summary() == ("train: 2 images, 2 boxes; 1 unknown-class (dropped)\nval: 1 images, 1 boxes")
    only = load_dataset(file, split="val")
    assert list(only.splits) == ["val"]
    assert load_dataset(read_config(file), "val").records[0].path == only.records[0].path
    with pytest.raises(DataError, match="key 'test' is missing"):
        load_dataset(file, split="test")


def test_recognised_formats(yolo_set: Callable[..., Path], tmp_path: Path, shared: Path) -> None:
    assert recognise_format(read_config(yolo_set({"train": {"a": ""}})))[0] == "yolo"
    assert recognise_format(read_config({"train": "x.json", "names": ["x"]}))[0] == "coco"
    bare = read_config({"path": str(shared / "data" / "bccd"), "train": "train"})
    assert recognise_format(bare)[0] == "voc"
    assert load_dataset(bare).names == {0: "Platelets", 1: "RBC", 2: "WBC"}


def test_nothing_is_written_beside_the_users_files(yolo_set: Callable[..., Path], tmp_path: Path) -> None:
    file = yolo_set({"train": {"a": "0 .5 .5 .1 .1"}})
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    load_dataset(file)
    data.doctor(file)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
