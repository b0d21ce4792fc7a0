"""The pages under docs/attention are complete and follow the code."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from attention import ATTENTION
from attention.docs import __main__ as docs
from attention.docs.cost_table import COUNTED, SIZES, TIMED, counted_cells
from attention.docs.limits import LIMITS, lowest_opset
from attention.registry import options


@pytest.fixture(scope="module")
def notes(root: Path) -> dict[str, dict[str, str]]:
    return yaml.safe_load((root / "docs" / "attention" / "notes.yaml").read_text(encoding="utf-8"))


def test_every_mechanism_has_a_note_and_a_page(root: Path, notes: dict[str, dict[str, str]]) -> None:
    names = set(ATTENTION.names())
    assert set(notes) == names
    assert all(set(note) == {"how", "flow", "when", "copies"} for note in notes.values())
    stems = {p.stem for p in (root / "docs" / "attention").glob("*.md")}
    assert stems == {f"{name}{suffix}" for name in names | {"index"} for suffix in ("", ".zh")}


@pytest.mark.parametrize("name", ATTENTION.names())
def test_the_docstring_names_every_option_and_the_source(name: str) -> None:
    doc = docs.sections(name)
    assert set(docs.arguments(doc["Args"])) == {"channels", *options(name)}
    assert set(doc) == {"", *docs.SECTIONS}
    assert len(doc["Source"]) > 40
    assert any(sign in doc[""] for sign in "=σΣ⊙"), "no formula"


@pytest.fixture(scope="module")
def chinese() -> docs.Chinese:
    return docs.Chinese(docs.FOLDER)


@pytest.fixture(scope="module")
def measured(root: Path) -> dict[str, Any]:
    return json.loads((root / "docs" / "attention" / "costs.json").read_text(encoding="utf-8"))


def test_every_cost_is_there(measured: dict[str, Any]) -> None:
    assert list(measured["costs"]) == ATTENTION.names()
    for rows in measured["costs"].values():
        assert [len(cells) for cells in rows] == [len(COUNTED + TIMED)] * len(SIZES)
        assert all(float(cell) >= 0 for cells in rows for cell in cells)


def test_the_index_is_what_the_generator_writes(root: Path, measured: dict[str, Any], chinese: docs.Chinese) -> None:
    committed = (root / "docs" / "attention" / "index.md").read_text(encoding="utf-8")
    assert committed == docs.index(measured["costs"], measured["machine"]), "run python -m attention.docs"
    committed = (root / "docs" / "attention" / "index.zh.md").read_text(encoding="utf-8")
    assert committed == docs.index(measured["costs"], measured["machine"], chinese), "run python -m attention.docs"


@pytest.mark.parametrize("name", ATTENTION.names())
def test_the_page_is_what_the_generator_writes(
    root: Path, notes: dict[str, dict[str, str]], measured: dict[str, Any], name: str, chinese: docs.Chinese
) -> None:
    committed = (root / "docs" / "attention" / f"{name}.md").read_text(encoding="utf-8")
    rows = measured["costs"][name]
    assert committed == docs.page(name, notes[name], rows), "run python -m attention.docs"
    committed = (root / "docs" / "attention" / f"{name}.zh.md").read_text(encoding="utf-8")
    assert committed == docs.page(name, notes[name], rows, chinese), "run python -m attention.docs"
    counted = rows[2][: len(COUNTED)]
    assert counted == counted_cells(name, SIZES[2]), "run python -m benchmarks.attention_costs"


def test_every_mechanism_is_explained_in_chinese_too(chinese: docs.Chinese) -> None:
    assert set(chinese.mechanisms) == set(ATTENTION.names())
    assert all(set(says) == {"does", "when", "copies"} and all(says.values()) for says in chinese.mechanisms.values())
    english = {text for name in ATTENTION.names() for text in docs.arguments(docs.sections(name)["Args"]).values()}
    reasons = {why for found in LIMITS.values() for why in found.values()}
    said = {*english, *reasons, *(" ".join(docs.sections(name)["Shape"].split()) for name in ATTENTION.names())}
    unused = [text for text in chinese.phrases if not any(text in whole for whole in said)]
    assert not unused, "phrases of no mechanism: their English was changed"
    meanings = {
        text
        for name in ATTENTION.names()
        for key, text in docs.arguments(docs.sections(name)["Args"]).items()
        if key != "channels"
    }
    assert {text for text in meanings | reasons if chinese(text) == text} == set(), (
        "write their Chinese in notes.zh.yaml"
    )


def test_wrong_copies_are_spelt_alike_in_both_languages(
    notes: dict[str, dict[str, str]], chinese: docs.Chinese
) -> None:
    for name in ATTENTION.names():
        english, said = notes[name]["copies"], chinese.copies(name, "")
        for pattern in (r"`[^`]+`", r"\w+=[\w']+", r"\d+ × \d+"):
            assert set(re.findall(pattern, said)) == set(re.findall(pattern, english)), name


def test_a_diagram_joins_equal_names() -> None:
    text = docs.diagram(["x > mean > ⊙ > y", "x > ⊙"])
    assert text.count("[") == 4
    assert text.count("-->") == 4
    assert "n0 --> n2" in text


def test_the_matrix_of_operator_sets_has_every_mechanism(root: Path) -> None:
    text = (root / "docs" / "benchmarks" / "opsets.md").read_text(encoding="utf-8")
    rows = {name: cells for name, cells in re.findall(r"^\| \[(\w+)\]\(\S+\) \| (.*) \|$", text, re.MULTILINE)}
    assert list(rows) == ATTENTION.names()
    sets = [int(cell) for cell in re.findall(r"\d+", text.split("| mechanism |")[1].split("\n")[0])]
    for name, cells in rows.items():
        absent = [number for number, cell in zip(sets, cells.split(" | "), strict=True) if cell == "–"]
        assert absent == [number for number in sets if number < lowest_opset(name)]
