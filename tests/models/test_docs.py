"""What the documentation lists is what there is."""

import re
from pathlib import Path

import pytest

from models import read_spec
from models.catalog.mechanisms import DOTTED
from models.catalog.registry import BLOCKS
from models.catalog.ultralytics_layers import STOCK
from models.spec.base_files import known_names
from models.spec.header import KEYS


def test_blocks_and_keys_are_listed(root: Path) -> None:
    words = set(re.findall(r"[\w.]+", (root / "docs" / "yaml.md").read_text()))
    assert not {*STOCK, *BLOCKS.names()} - words
    assert not {*KEYS} - words - {"act", "inplace", "kpt_shape", "task", "yaml_file"}  # of no effect, or another task's
    table = re.search(r"### Blocks\n(.*?)\n### ", (root / "docs" / "yaml.md").read_text(), re.DOTALL)
    assert table
    rows = [line.split("|")[2] for line in table[1].splitlines() if line.count("|") == 3][2:5]
    listed = {word for row in rows for word in row.split() if word[0] != "`"}
    assert listed <= {*STOCK, *BLOCKS.names()}


def test_library_modules_are_listed(root: Path) -> None:
    text = (root / "docs" / "placement.md").read_text()
    section = text[text.index("**library modules**") : text.index("**your own**")]
    assert {name.rpartition(".")[2] for name in DOTTED} <= set(re.findall(r"\w+", section))


def test_placements_in_the_tables_work(root: Path) -> None:
    text = (root / "docs" / "placement.md").read_text()
    section = text[text.index("## On the command line") : text.index("Quote them")]
    rows = [re.findall(r"`([^`]*)`", line) for line in section.splitlines() if line.startswith("| `")]
    assert len(rows) >= 7
    for texts in rows:
        *short, long = texts
        for one in short:
            assert len(read_spec("yolov5n", [one]).yaml["attention"]) == 1
        assert long.startswith("{module: ")


@pytest.mark.parametrize("name", known_names())
def test_every_shipped_description_resolves(name: str) -> None:
    spec = read_spec(name)
    assert spec.name == name
    assert not spec.warnings


def test_headers_of_shipped_files_say_how_to_run_them(root: Path) -> None:
    for path in sorted((root / "cfg").glob("*/*.yaml")):
        if path.parent.name in {"attention", "torchvision", "yolov5", "yolov7"}:
            text = path.read_text()
            assert text.startswith("# "), path
            assert "python train.py --cfg" in text, path
