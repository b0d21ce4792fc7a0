"""What selectors match, by hand; and what they say when they match nothing."""

from typing import Any

import pytest

from models import SpecError, read_spec
from models.spec.selectors import select_layers


@pytest.mark.parametrize(
    ("selector", "rows"),
    [
        (4, ["4"]),
        ("4", ["4"]),
        (0, ["0"]),
        ("stem", ["2"]),
        ("backbone.P1", ["0"]),
        ("backbone.P2", ["2"]),
        ("backbone.P3", ["4"]),
        ("backbone.P4", ["6"]),
        ("neck.P3", ["9"]),
        ("neck.P4", ["12"]),
        ("C3", ["2", "4", "9", "12"]),
        ("backbone.C3", ["2", "4"]),
        ("neck.C3", ["9", "12"]),
        ("C3[0]", ["2"]),
        ("C3[-1]", ["12"]),
        ("neck.C3[1]", ["12"]),
        ("nn.Upsample", ["7"]),
        ("neck.nn.Upsample[0]", ["7"]),
        ("SPPF", ["6"]),
    ],
)
def test_matches(selector: str | int, rows: list[str], small: dict[str, Any]) -> None:
    assert [layer.name for layer in select_layers(read_spec(small).layers, [selector], "here")] == rows


def test_lists_keep_their_order_without_repetition(small: dict[str, Any]) -> None:
    found = select_layers(read_spec(small).layers, ["neck.P4", "C3", 4, "neck.P3"], "here")
    assert [layer.name for layer in found] == ["12", "2", "4", "9"]


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        (14, "there is no row 14; the base has rows 0 to 13"),
        (-1, "there is no row -1"),
        ("99999", "there is no row 99999"),
        ("backbone.P5", r"there is no backbone.P5; there are backbone.P1 \(row 0\), .*backbone.P4 \(row 6\)"),
        ("neck.P5", r"there is no neck.P5; there are neck.P3 \(row 9\), neck.P4 \(row 12\)"),
        ("Concatt", "'Concatt' matches nothing; did you mean Concat"),
        ("P3", r"'P3' matches nothing; did you mean backbone.P3 or neck.P3\? there are C3, "),
        ("backbone.nn.Upsample", "matches nothing.* there are in the backbone C3, Conv, SPPF"),
        ("Detect", "'Detect' matches nothing"),
        ("C3[4]", "'C3.4.': there are 4, numbered 0 to 3"),
        ("²", "write a row number, a name"),
        ("C3[x]", "write a row number"),
        ("", "write a row number"),
        ("head.P3", "'head.P3' matches nothing"),
        ("9" * 5000, "write a row number"),
        ("C3[" + "9" * 5000 + "]", "write a row number"),
    ],
)
def test_misses_say_what_exists(selector: str | int, expected: str, small: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match=f"^here: .*{expected}|^here: {expected}"):
        select_layers(read_spec(small).layers, [selector], "here")


@pytest.mark.parametrize(
    ("name", "backbone", "neck"),
    [
        ("yolov5s", {2: "2", 3: "4", 4: "6", 5: "9"}, {3: "17", 4: "20", 5: "23"}),
        ("yolov5n6", {3: "4", 4: "6", 5: "8", 6: "11"}, {3: "23", 4: "26", 5: "29", 6: "32"}),
        ("ultralytics/yolov8n", {3: "4", 4: "6", 5: "9"}, {3: "15", 4: "18", 5: "21"}),
        ("ultralytics/yolo11n", {3: "4", 4: "6", 5: "10"}, {3: "16", 4: "19", 5: "22"}),
        ("ultralytics/yolov3", {3: "6", 4: "8", 5: "10"}, {3: "27", 4: "22", 5: "15"}),
    ],
)
def test_stages_of_known_models(name: str, backbone: dict[int, str], neck: dict[int, str]) -> None:
    layers = read_spec(name).layers
    for section, stages in (("backbone", backbone), ("neck", neck)):
        for level, row in stages.items():
            assert select_layers(layers, [f"{section}.P{level}"], "here")[0].name == row
