"""Write the report as one HTML file: no network, no script of others, readable on a telephone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from study.report.comparison_table import Table
from study.report.example_images import Trio
from study.report.templating import render
from study.report.verdict_text import Answer


@dataclass(frozen=True)
class Plot:
    """A plot of the page.

    Attributes:
        svg: element, ours and so safe.
        caption: below it; empty for none.
    """

    svg: Markup
    caption: str = ""


@dataclass(frozen=True)
class Page:
    """What the page shows; templates/page.html.jinja says where.

    Attributes:
        title: of the study.
        lead: paragraphs under it.
        warnings: about the design.
        answers: what came out, a sentence or more for each variant.
        terms: term → meaning.
        tables: heading → tables, see `study.report.write`.
        differences: forest plots, and metric against latency.
        learning_curves: one for each variant.
        errors: AP that each kind of error costs.
        trios: variant → images side by side.
        logs: failed run → end of its log.
        recipe: how to repeat the study.
        spec: its YAML as written.
    """

    title: str
    lead: Sequence[str]
    warnings: Sequence[str]
    answers: Sequence[Answer]
    terms: Mapping[str, str]
    tables: Mapping[str, Sequence[Table]]
    differences: Sequence[Plot]
    learning_curves: Sequence[Plot]
    errors: Plot
    trios: Mapping[str, Sequence[Trio]]
    logs: Mapping[str, str]
    recipe: str
    spec: str

    def html(self) -> str:
        """Return the page as an HTML document that loads nothing."""
        return str(render("page.html.jinja", page=self)) + "\n"
