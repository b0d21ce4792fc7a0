"""Names, scales, overlays on overlays, and circles of bases."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models import SpecError, read_spec
from models.spec.base_files import describe, locate

Write = Callable[..., Path]


@pytest.mark.parametrize(
    ("name", "file", "scale"),
    [
        ("yolov5s", "yolov5.yaml", "s"),
        ("yolov5s.yaml", "yolov5.yaml", "s"),
        ("yolov5n6", "yolov5-p6.yaml", "n"),
        ("yolov5x6.yaml", "yolov5-p6.yaml", "x"),
        ("yolov5n-cbam", "yolov5n-cbam.yaml", "n"),
        ("ultralytics/yolo11m.yaml", "yolo11.yaml", "m"),
        ("ultralytics/yolov8l-p2", "yolov8-p2.yaml", "l"),
        ("ultralytics/yolov10b", "yolov10b.yaml", "b"),
        ("ultralytics/yolov9c", "yolov9c.yaml", "c"),
    ],
)
def test_names(name: str, file: str, scale: str, tmp_path: Path) -> None:
    path, letter = locate(name, tmp_path)
    assert (path.name, letter) == (file, scale)


@pytest.mark.parametrize(
    "name", ["yolov5q", "no/such.yaml", "~nobody-has-this-name/a.yaml", "x" * 400, "ultralytics/x"]
)
def test_unknown_names_list_what_there_is(name: str) -> None:
    with pytest.raises(SpecError, match=r"no model YAML .*yolov5n, yolov5s") as caught:
        read_spec(name)
    assert "yolov5n6" in str(caught.value)


@pytest.mark.parametrize("name", ["", " ", "a\0b", "y" * 2000])
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(SpecError, match="is no file name"):
        read_spec(name)


def test_ultralytics_names_are_suggested() -> None:
    with pytest.raises(SpecError, match="did you mean ultralytics/yolo11n"):
        read_spec("yolo11n")


def test_overlays_on_overlays(write: Write, small: dict[str, Any]) -> None:
    write(small, "deep/base.yaml")
    write({"base": "deep/base.yaml", "nc": 5, "attention": [{"module": "SE", "at": 4}]}, "first.yaml")
    path = write({"base": "first.yaml", "name": "second", "attention": [{"module": "CBAM", "at": 4}]}, "second.yaml")
    spec = read_spec(path)
    assert (spec.name, spec.nc) == ("second", 5)
    assert [layer.name for layer in spec.layers][4:8] == ["4", "4+SE", "4+CBAM", "5"]
    assert spec.layer("5").reads == ("4+CBAM",)
    assert spec.layer("8").reads == ("7", "4+CBAM")


def test_description_is_self_contained(write: Write, small: dict[str, Any]) -> None:
    write(small, "base.yaml")
    spec = read_spec(write({"base": "base.yaml", "identity": True, "attention": ["SE@4"]}), ["CBAM@inside:C3"])
    again = read_spec(dict(spec.yaml))
    assert "base" not in spec.yaml
    strip = [(x.name, x.reads, x.module, x.channels, x.stride) for x in spec.layers]
    assert [(x.name, x.reads, x.module, x.channels, x.stride) for x in again.layers] == strip
    assert again.layer("4+SE").attention.identity
    assert again.layer("4").inside[0].attention.identity
    assert again.yaml == spec.yaml


def test_circles_are_refused(write: Write) -> None:
    write({"base": "b.yaml"}, "a.yaml")
    path = write({"base": "a.yaml"}, "b.yaml")
    with pytest.raises(SpecError, match=r"base runs in a circle: b\.yaml → a\.yaml → b\.yaml"):
        read_spec(path)
    with pytest.raises(SpecError, match="base runs in a circle"):
        read_spec(write({"base": "self.yaml"}, "self.yaml"))


def test_a_very_long_chain_is_refused(write: Write) -> None:
    for i in range(40):
        path = write({"base": f"c{i - 1}.yaml" if i else "yolov5n"}, f"c{i}.yaml")
    with pytest.raises(SpecError, match="base"):
        read_spec(path)


@pytest.mark.parametrize(
    ("overlay", "expected"),
    [
        ({"base": 5}, "base is 5, expected a file or a name"),
        ({"base": "yolov5n", "backbone": []}, "an overlay .* cannot say backbone"),
        ({"base": "yolov5n", "widht": 1}, "cannot say widht"),
        ({"base": "nowhere.yaml"}, "mine.yaml: no model YAML 'nowhere.yaml'"),
        ({"base": "yolov5n", "attention": "SE"}, "attention is SE, expected a list"),
        ({"base": "yolov5n", "attention": ["SE@4"] * 501}, "at most 500 entries"),
    ],
)
def test_mistakes_in_overlays(write: Write, overlay: dict[str, Any], expected: str) -> None:
    with pytest.raises(SpecError, match=expected):
        read_spec(write(overlay))


def test_errors_name_the_overlay_that_holds_the_entry(write: Write, small: dict[str, Any]) -> None:
    write(small, "base.yaml")
    write({"base": "base.yaml", "attention": ["SE@4", "Nothing@4"]}, "inner.yaml")
    path = write({"base": "inner.yaml", "attention": ["SE@4"]}, "outer.yaml")
    with pytest.raises(SpecError, match=r"inner\.yaml attention\[1\] Nothing@4: unknown attention mechanism"):
        read_spec(path)


def test_description_leaves_the_callers_mapping_alone(small: dict[str, Any]) -> None:
    before = repr(small)
    read_spec(small, ["SE@4"], nc=7, identity=True)
    assert repr(small) == before
    assert describe(small).data["nc"] == 3
