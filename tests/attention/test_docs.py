"""The pages under docs/attention are complete and follow the code."""

from pathlib import Path

import pytest
import yaml

from attention import ATTENTION, docs
from attention.registry import options
from attention.table import measure


@pytest.fixture(scope="module")
def notes(root: Path) -> dict[str, dict[str, str]]:
    return yaml.safe_load((root / "docs" / "attention" / "notes.yaml").read_text(encoding="utf-8"))


def test_every_mechanism_has_a_note_and_a_page(root: Path, notes: dict[str, dict[str, str]]) -> None:
    names = set(ATTENTION.names())
    assert set(notes) == names
    assert {p.stem for p in (root / "docs" / "attention").glob("*.md")} - {"index"} == names


@pytest.mark.parametrize("name", ATTENTION.names())
def test_the_docstring_names_every_option_and_the_source(name: str) -> None:
    doc = docs.sections(name)
    assert set(docs.arguments(doc["Args"])) == {"channels", *options(name)}
    assert set(doc) == {"", *docs.SECTIONS}
    assert len(doc["Source"]) > 40
    assert any(sign in doc[""] for sign in "=σΣ⊙"), "no formula"


@pytest.mark.parametrize("name", ATTENTION.names())
def test_the_page_is_what_the_generator_writes(root: Path, notes: dict[str, dict[str, str]], name: str) -> None:
    committed = (root / "docs" / "attention" / f"{name}.md").read_text(encoding="utf-8")
    costs = [measure(name, (256, 20, 20), repeats=0)] * 3
    fresh = docs.page(name, notes[name], costs)
    heading = "## Cost"
    after = "## Known wrong copies"
    assert committed.split(heading)[0] == fresh.split(heading)[0], "run python -m attention.docs"
    assert committed.split(after)[1] == fresh.split(after)[1], "run python -m attention.docs"
    assert f"| 256 × 20 × 20 | {costs[0][3]} | {costs[0][4]} |" in committed, "run python -m attention.docs"


def test_a_diagram_joins_equal_names() -> None:
    text = docs.diagram(["x > mean > ⊙ > y", "x > ⊙"])
    assert text.count("[") == 4
    assert text.count("-->") == 4
    assert "n0 --> n2" in text
