"""The options of the Python functions are the flags of the scripts."""

from pathlib import Path

import numpy as np
import pytest

from engine.cli import option_types
from engine.cli.main import make_parser
from engine.cli.parser import options_from
from engine.errors import UsageError

# Arguments of the functions themselves, and what only a script can do: write and show.
ARGUMENTS = {"train": set(), "val": {"weights", "data"}, "detect": {"weights", "source"}, "export": {"weights"}}
WRITES = {"view_img", "save_txt", "save_csv", "save_conf", "save_crop", "nosave", "line_thickness", "hide_labels"}
WRITES |= {"hide_conf", "maps", "layer", "map_classes", "pdf", "visualize", "project", "name", "exist_ok", "profile"}
WRITES |= {"save_dataset", "dataset_images"}
TYPES = {"train": "TrainOptions", "val": "ValidateOptions", "detect": "DetectOptions", "export": "ExportOptions"}


@pytest.mark.parametrize("command", TYPES)
def test_options_are_the_flags(command):
    flags = set(vars(make_parser(command).parse_args([]))) - ARGUMENTS[command]
    typed = set(getattr(option_types, TYPES[command]).__annotations__)
    assert typed == flags - (WRITES if command == "detect" else set())


def test_an_option_that_there_is_not_is_refused_by_name():
    with pytest.raises(UsageError, match=r"detect\(\) has no option 'confidence'; it takes .*conf_thres"):
        options_from(make_parser("detect"), "detect", {"confidence": 0.5})
    assert options_from(make_parser("detect"), "detect", {"conf_thres": 0.5}).conf_thres == 0.5


@pytest.mark.parametrize(
    ("command", "name", "value", "says"),
    [
        ("detect", "conf_thres", 4, "'4' is not a number between 0 and 1"),
        ("detect", "iou_thres", None, "'None' is not a number"),
        ("detect", "batch_size", 0, "'0' is not a whole number of at least 1"),
        ("detect", "imgsz", -1, "'-1' is not a whole number"),
        ("detect", "backend", "fast", "'fast' is none of auto, torch"),
        ("detect", "half", "no", "'no' is neither True nor False"),
        ("detect", "attention", [3], "a int is no text"),
        ("train", "epochs", "many", "'many' is not a whole number"),
        ("train", "optimizer", "Lion", "'Lion' is none of SGD"),
        ("train", "imgsz", [64, 96], "64 96: give one number"),
        ("train", "imgsz", [], "nothing is given"),
        ("train", "project", b"runs", "a bytes is no text"),
        ("val", "task", "tests", "'tests' is none of train, val"),
        ("export", "include", ["onxx"], "'onxx' is none of onnx"),
    ],
)
def test_a_value_that_the_flag_would_not_take_is_refused_by_name(command, name, value, says):
    with pytest.raises(UsageError, match=rf"call\(\): {name}: {says}"):
        options_from(make_parser(command), "call", {name: value})


@pytest.mark.parametrize(
    ("command", "name", "value", "taken"),
    [
        ("detect", "conf_thres", "0.5", 0.5),
        ("detect", "classes", 3, [3]),
        ("detect", "classes", np.array([1, 2]), [1, 2]),
        ("detect", "classes", None, None),
        ("detect", "attention", "SE@neck.P3", ["SE@neck.P3"]),
        ("detect", "device", 0, "0"),
        ("detect", "half", np.True_, True),
        ("detect", "imgsz", (64, 96), [64, 96]),
        ("detect", "data_root", Path("digits"), Path("digits")),
        ("train", "imgsz", [64, 64], 64),
        ("train", "freeze", 10, [10]),
        ("train", "optimizer", "adamw", "AdamW"),
        ("train", "class_weights", True, 1.0),
        ("train", "resume", "last.pt", "last.pt"),
        ("train", "cfg", None, ""),
        ("export", "include", "ONNX", ["onnx"]),
        ("export", "include", ("onnx", "openvino"), ["onnx", "openvino"]),
    ],
)
def test_a_value_is_taken_as_the_flag_takes_it(command, name, value, taken):
    found = getattr(options_from(make_parser(command), "call", {name: value}), name)
    assert (type(found), found) == (type(taken), taken)
