"""Designs: what they say as YAML and on the command line is the model that is shown."""

import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.cli.train_flags import train_parser
from models.spec.model_spec import read_spec
from playground.access import Access
from playground.costs import count, kept
from playground.design import (
    Design,
    History,
    command,
    entry_text,
    named,
    option_value,
    read_description,
    selector_of,
    yaml_text,
)
from playground.fork import explain
from playground.mechanisms import names, options_of


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ({"module": "SKAttention", "at": "neck.P3"}, "SKAttention@neck.P3"),
        ({"module": "CBAM", "at": [4, "neck.P4"], "args": {"kernel_size": 3}}, "CBAM{kernel_size: 3}@4,neck.P4"),
        ({"module": "SE", "inside": 2}, "SE@inside:2"),
        ({"module": "ECA", "inside": "neck.C3", "where": "last"}, "ECA@inside/last:neck.C3"),
        ({"module": "SE", "between": [4, 16], "identity": True}, "SE{identity: true}@between:4,16"),
        ({"module": "SE", "between": [6, [7, 12]]}, "SE@between:6,7,12"),
    ],
)
def test_an_entry_as_the_command_line_takes_it(entry: dict[str, Any], text: str) -> None:
    assert entry_text(entry) == text
    assert read_spec("yolov5n", [text]).yaml["attention"] == read_spec("yolov5n", [entry]).yaml["attention"]


def test_yaml_and_command_line_say_the_same_model(access: Access) -> None:
    design = Design().placed({"module": "SE", "at": 4, "args": {"reduction": 8}}).placed({"module": "ECA", "inside": 2})
    text = yaml_text(design)
    assert yaml.safe_load(text) == {"base": "yolov5n", "attention": [dict(entry) for entry in design.entries]}
    assert read_description(text, "x.yaml", access).spec().yaml == design.spec().yaml
    words = shlex.split(command(design, "weights/yolov5n-digits.pt"))
    options = train_parser().parse_args(words[2:])
    assert read_spec(options.cfg, options.attention).yaml == design.spec().yaml
    assert options.weights == "weights/yolov5n-digits.pt"


def test_steps_are_undone() -> None:
    history = History()
    first = history.design
    history.take(first.placed({"module": "SE", "at": 4}))
    history.take(history.design)  # no step
    assert (history.can_undo, history.undo(), history.design) == (True, True, first)
    assert not history.undo()


def test_layers_are_named_as_a_yaml_names_them() -> None:
    spec = Design().placed({"module": "CBAM", "at": 17}).spec()
    assert [selector_of(spec, name) for name in ("4", "17", "23", "3")] == ["backbone.P3", "neck.P3", "neck.P5", 3]
    with pytest.raises(ValueError, match="layer of the base"):
        selector_of(spec, "17+CBAM")


def test_costs_are_those_of_models_spec() -> None:
    """SE after 64 channels with reduction 16 has two linear layers: 64 · 4 + 4 + 4 · 64 + 64 parameters."""
    base, spec = Design(), Design().placed({"module": "SE", "at": "neck.P3"})
    assert count(base.spec()).total == 1_872_157  # YOLOv5n's published 1.9 M
    assert count(spec.spec()).total - count(base.spec()).total == 64 * 4 + 4 + 4 * 64 + 64
    assert "kept 349 of the checkpoint's 349 tensors" in kept(base.spec(), spec.spec())


def test_options_have_defaults_and_meanings() -> None:
    found = {option.name: option for option in options_of("CBAM")}
    assert found["kernel_size"].default == 7
    assert "odd" in found["kernel_size"].meaning
    assert all(option.meaning for name in names() for option in options_of(name))


@pytest.mark.parametrize(("text", "value"), [("7", 7), ("true", True), ("[3, 5]", [3, 5]), ("2sigmoid", "2sigmoid")])
def test_option_values_are_read_as_yaml(text: str, value: Any) -> None:
    assert option_value(text) == value


def test_names_and_files_of_this_machine(access: Access) -> None:
    assert named(" yolov7-tiny ", access).base_name == "yolov7-tiny"
    assert len(named("cfg/attention/yolov5n-cbam.yaml", access).spec().layers) == 28  # 25 and three CBAM


def fork_text(root: Path) -> str:
    """YOLOv5n as a fork edits it: CoordAtt at the end of the backbone under another name, the rows after it shifted."""
    text = (root / "cfg" / "yolov5" / "yolov5.yaml").read_text(encoding="utf-8")
    spp = "  - [-1, 1, SPPF, [1024, 5]]"
    text = text.replace(spp, f"{spp}\n  - [-1, 1, CoordAttention, [1024]]").replace("nc: 80", "nc: 80\nscale: n")
    for old, new in (("[[-1, 14]", "[[-1, 15]"), ("[[-1, 10]", "[[-1, 11]"), ("[[17, 20, 23]", "[[18, 21, 24]")):
        text = text.replace(old, new)
    return text


def test_a_forks_file_is_explained(access: Access, root: Path) -> None:
    path = access.store("fork.yaml", fork_text(root).encode(), "model")
    found = explain(path, "fork.yaml")
    assert found.nearest == "yolov5n"
    assert {row["status"] for row in found.rows if row["row"] != 10} == {"kept"}
    assert found.rows[10]["module"] == "CoordAttention"
    assert found.rows[10]["status"] in ("renamed", "option")
    assert found.design is not None
    assert found.design.base_name == "yolov5n"
    assert [layer.attention.module for layer in found.design.spec().layers if layer.attention] == ["CoordAtt"]
    assert not any(str(path) in line for line in (*found.lines, *(row["note"] for row in found.rows)))
