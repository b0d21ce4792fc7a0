"""The templates: found from any folder, strict about names, and everything that goes in is escaped."""

from pathlib import Path
from typing import Any

import pytest
from jinja2 import UndefinedError
from markupsafe import Markup

from study.report.comparison_table import Cell, Table
from study.report.example_images import Trio
from study.report.html_page import Page, Plot
from study.report.templating import render
from study.report.verdict_text import Answer

HOSTILE = """</td></table><script>alert("1")</script><img src=x onerror='alert(2)'>{{ 7 * 7 }}{% raw %}&"""
HEADINGS = (
    "Verdict",
    "Where it gains and loses",
    "Kinds of error",
    "Cost",
    "Every comparison",
    "Design",
    "Every run",
)


def page(text: str, **changes: Any) -> Page:
    """A page that holds a text wherever text can come in."""
    table = Table(text, (text, text), ((Cell(text), Cell(text, 1.0, text, 0.5)),), (text,), text, text)
    plot = Plot(Markup("<svg></svg>"), text)
    trio = Trio(text, text, ("data:image/jpeg;base64,AA==",) * 3)
    values: dict[str, Any] = {
        "title": text,
        "lead": [text],
        "warnings": [text],
        "answers": [Answer(text, text, text, text)],
        "terms": {text: text},
        "tables": {heading: [table, table] for heading in HEADINGS},
        "differences": [plot],
        "learning_curves": [plot],
        "errors": plot,
        "trios": {text: [trio]},
        "logs": {text: text},
        "recipe": text,
        "spec": text,
    }
    return Page(**{**values, **changes})


def test_hostile_class_names_stay_text() -> None:
    html, harmless = page(HOSTILE).html(), page("name").html()
    assert html.count("<script") == harmless.count("<script") == 1  # the page's own
    assert html.count("<img") == harmless.count("<img") == 3
    assert html.count("<td") == harmless.count("<td")
    assert "{{ 7 * 7 }}" in html  # a name is no template
    assert "&lt;script&gt;alert(&#34;1&#34;)&lt;/script&gt;" in html
    assert "onerror='" not in html  # quotes are escaped too, so no attribute ends early


def test_every_text_of_the_page_is_shown() -> None:
    """A text in no other place than one field is on the page."""
    assert "only-here" not in page("name").html()
    for field in ("title", "recipe", "spec"):
        assert "only-here" in page("name", **{field: "only-here"}).html(), field
    for field in ("lead", "warnings"):
        assert "only-here" in page("name", **{field: ["only-here"]}).html(), field
    for field in ("terms", "logs"):
        assert "only-here" in page("name", **{field: {"name": "only-here"}}).html(), field
    for heading in HEADINGS:
        tables = {**page("name").tables, heading: [Table("t", ("only-here",), ())]}
        assert "only-here" in page("name", tables=tables).html(), heading
    assert "No image differs." in page("name", trios={}).html()


def test_templates_are_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = page("name").html()
    monkeypatch.chdir(tmp_path)
    assert page("name").html() == expected
    assert expected.startswith("<!doctype html>\n<html")
    assert expected.endswith("</html>\n")


def test_a_name_that_is_missing_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="'answer' is undefined"):
        render("answer.html.jinja")
