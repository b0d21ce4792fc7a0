"""The form of Train becomes flags of train.py, with paths that may be read."""

from pathlib import Path
from typing import Any

import pytest

from data.errors import DataError
from engine.errors import UsageError
from playground.access import Access
from playground.design import Design
from playground.errors import PageError
from playground.texts import Texts
from playground.train_form import _whole, check_data, train_flags
from playground.trainings import arguments

FORM = {"weights": "", "data": "digits", "hyp": "digits", "epochs": 3, "imgsz": 64.0, "batch": 8, "seed": 0}


def test_flags(access: Access, root: Path) -> None:
    design = Design().placed({"module": "SE", "at": "neck.P3"})
    said = train_flags({**FORM, "identity": True, "attention_only": True, "plots": True}, design, access)
    assert " ".join(arguments(said)) == (
        "--cfg yolov5n --attention SE@neck.P3 --weights  --data digits --hyp digits --epochs 3 --imgsz 64 --batch 8 "
        "--optimizer SGD --seed 0 --identity --train-only attention"
    )
    said = train_flags({**FORM, "weights": "weights/yolov5n-digits.pt"}, None, access)
    assert said["weights"] == str(root / "weights" / "yolov5n-digits.pt")
    assert "cfg" not in said


def test_what_only_a_yaml_says_is_written_once(access: Access) -> None:
    design = Design({"base": "yolov5n", "nc": 3})
    first = train_flags(FORM, design, access)["cfg"]
    assert first == train_flags(FORM, design, access)["cfg"]
    assert Path(first).read_text().endswith("base: yolov5n\nnc: 3\n")
    assert train_flags(FORM, Design({"base": "yolov5n", "nc": 4}), access)["cfg"] != first


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": None},
        {"epochs": 2.5},
        {"epochs": "many"},
        {"imgsz": float("inf")},
        {"batch": float("nan")},
        {"data": ""},
        {"data": "/etc"},
        {"data": "../../etc/passwd"},
        {"hyp": "/etc/passwd"},
        {"weights": "/etc/passwd"},
        {"weights": "missing.pt"},
    ],
)
def test_wrong_forms(change: dict[str, Any], access: Access) -> None:
    with pytest.raises((UsageError, DataError)):
        train_flags({**FORM, **change}, Design(), access)


def test_no_model_at_all(access: Access) -> None:
    with pytest.raises(UsageError, match="page Build"):
        train_flags(FORM, None, access)


def test_a_data_set_may_not_point_outside(access: Access, tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    file = tmp_path / "allowed" / "data.yaml"
    file.write_text(f"path: {tmp_path}\ntrain: secret\nval: secret\nnames: [a]\n")
    with pytest.raises(UsageError, match="outside"):
        check_data(str(file), access)
    (tmp_path / "allowed" / "images").mkdir()
    file.write_text("path: .\ntrain: images\nval: images\nnames: [a]\n")
    assert check_data(str(file), access) == str(file)
    listed = tmp_path / "allowed" / "train.txt"
    file.write_text("train: train.txt\nval: train.txt\nnames: [a]\n")
    listed.write_text(f"./images/1.jpg\n{tmp_path}/secret/1.jpg\n")
    with pytest.raises(UsageError, match="secret"):
        check_data(str(file), access)
    listed.write_text("./images/1.jpg\n./images/2.jpg\n")
    assert check_data(str(file), access) == str(file)


@pytest.mark.parametrize(
    ("value", "english", "chinese"),
    [
        (None, "Epochs: give a whole number", "训练轮数：请填写整数"),
        (1.5, "Epochs: 1.5 is no whole number", "训练轮数：1.5 不是整数"),
        (float("inf"), "Epochs: inf is no whole number", "训练轮数：inf 不是整数"),
    ],
)
def test_a_field_is_called_as_on_the_page(value: object, english: str, chinese: str) -> None:
    with pytest.raises(PageError) as caught:
        _whole({"epochs": value}, "epochs")
    assert (caught.value.line(Texts("en")), caught.value.line(Texts("zh"))) == (english, chinese)
