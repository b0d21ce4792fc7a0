"""The spec tool: table, differences, JSON and drawing."""

import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models import build_model, read_spec
from models.network.cost import parameters_by_layer
from models.network.detector import Detector
from models.spec.__main__ import main
from models.spec.render import differences, svg, table

SVG = "{http://www.w3.org/2000/svg}"


def test_table(small: dict[str, Any]) -> None:
    spec = read_spec(small, ["SE@4", "ECA@inside:9"])
    parameters = parameters_by_layer(Detector(spec))
    lines = table(spec, parameters).splitlines()
    assert lines[0].split() == ["layer", "reads", "module", "stride", "channels", "parameters"]
    assert lines[1].split() == [
        "0",
        "image",
        "Conv",
        "2",
        "8",
        "232",
    ]  # 3 · 8 · 9 weights and 2 · 8 of the normalisation
    assert lines[3].split()[:2] == ["2", "(stem)"]
    assert lines[6].split()[:5] == ["4+SE", "4", "SE", "8", "16"]
    assert "C3 + ECA (each)" in lines[11]
    assert sum(parameters.values()) == sum(
        p.numel() for p in build_model(small, attention=["SE@4", "ECA@inside:9"]).parameters()
    )
    assert f"15 layers, {sum(parameters.values()):,} parameters, 3 classes" in lines[-1]


def test_differences_by_hand(small: dict[str, Any]) -> None:
    assert differences(read_spec(small, ["SE@4", "ECA@inside/last:9"]), read_spec(small)) == [
        "+ 4+SE: SE reads 4",
        "~ 5: reads 4+SE instead of 4",
        "~ 8: reads 7, 4+SE instead of 7, 4",
        "~ 9: inside it ECA (last)",
    ]
    assert differences(read_spec(small), read_spec(small)) == []
    assert differences(read_spec(small), read_spec(small, ["SE@12"]))[-1] == "- 12+SE: SE"


@pytest.mark.parametrize("name", ["yolov5n6", "yolov7", "yolov7-e6e", "ultralytics/yolov9e"])
def test_drawing_is_well_formed_and_complete(name: str) -> None:
    spec = read_spec(name, ["CBAM@neck.P3", "SE@inside:Conv"])
    image = ET.fromstring(svg(spec, {}))
    boxes = image.findall(f"{SVG}g")
    assert len(boxes) == len(spec.layers)
    edges = {
        (i, j)
        for j, layer in enumerate(spec.layers)
        for i, other in enumerate(spec.layers)
        if other.name in layer.reads
    }
    assert len(image.findall(f"{SVG}path")) == len(edges)
    width = float(image.get("width", 0))
    assert all(0 <= float(rect.get("x", -1)) < width for box in boxes for rect in box.findall(f"{SVG}rect"))


def test_lanes_do_not_cross(small: dict[str, Any]) -> None:
    """Two connections in one track share no row unless they leave the same layer."""
    from models.spec.render import _tracks

    tracks = _tracks([(0, 5), (1, 3), (3, 8), (4, 6), (4, 9)])
    for (a, b), track in tracks.items():
        for (c, d), other in tracks.items():
            if (a, b) != (c, d) and track == other and a != c:
                assert b <= c or d <= a


def test_command_line(small: dict[str, Any], write: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    path = write(small)
    out = path.with_name("out.svg")
    assert main([str(path), "--attention", "SE@4"]) == 0
    assert "4+SE" in capsys.readouterr().out
    assert main([str(path), "--attention", "SE@4", "--diff", str(path)]) == 0
    assert capsys.readouterr().out.startswith("+ 4+SE: SE reads 4\n")
    assert main([str(path), "--diff", str(path)]) == 0
    assert capsys.readouterr().out == "no difference\n"
    assert main([str(path), "--svg", str(out)]) == 0
    assert out.read_text().startswith("<svg ")
    capsys.readouterr()
    assert main([str(path), "--json", "--nc", "7"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert (content["nc"], len(content["layers"]), content["layers"][0]["parameters"]) == (7, 14, 232)
    assert main([str(path), "--svg", "/no/such/folder/x.svg"]) == 2
    assert main(["nowhere"]) == 2
    assert main([str(path), "--attention", "SE@99"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("error: ") for line in lines)
