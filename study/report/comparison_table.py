"""Build the report's tables, for Markdown and HTML alike; the first of them holds the verdicts."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from markupsafe import Markup

from study.analysis.comparisons import Analysis
from study.analysis.intervals import Interval, Verdict
from study.analysis.results import Results
from study.analysis.statistics import Comparison
from study.execute.cost import Cost, added_latency
from study.plan.variants import BASELINE
from study.report.templating import render

MISSING = "–"
MARKUP = re.compile(r"[|<$*`]|__")  # what Markdown would take for its own
CHANGED = " (not the identity at the start)"
TONES = {
    **dict.fromkeys(Verdict, "none"),
    Verdict.GAIN: "gain",
    Verdict.LOSS: "loss",
}


@dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes:
        text: as shown.
        sort: what the column sorts by; the text where None.
        tone: class of the style sheet, such as "gain".
        shade: −1 … 1 for heat maps: loss to gain; None for no colour.
    """

    text: str
    sort: float | None = None
    tone: str = ""
    shade: float | None = None

    @property
    def sort_key(self) -> str | None:
        """What the page's script sorts by, if it is a number."""
        return f"{self.sort:.9g}" if self.sort is not None and math.isfinite(self.sort) else None

    @property
    def css_class(self) -> str:
        """Class of the style sheet; empty for none."""
        return self.tone or ("missing" if self.text == MISSING else "")

    @property
    def background(self) -> str | None:
        """Colour of a heat map's cell."""
        return None if self.shade is None else shade(self.shade)


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        name: id in the page.
        head: columns.
        rows: of cells.
        notes: below it, a line each.
        kind: class of the style sheet: "heat", or "cards" for one whose rows become cards on a telephone.
        title: above it, or what to click on to see it.
    """

    name: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()
    kind: str = ""
    title: str = ""

    def markdown(self) -> str:
        """Return the table in Markdown."""
        lines = [f"### {self.title}\n"] if self.title else []
        lines += [_markdown_row(self.head), "|" + "|".join(["---"] * len(self.head)) + "|"]
        lines += [_markdown_row([cell.text for cell in row]) for row in self.rows]
        lines += [f"\n{note}" for note in self.notes]
        return "\n".join(lines) + "\n"

    def html(self) -> Markup:
        """Return the table in HTML; a click on a head sorts it."""
        return render("table.html.jinja", table=self)


def _markdown_row(texts: Sequence[str]) -> str:
    """Return a row whose texts, names of classes among them, are shown as they are: no cell ends in one, no formula."""
    return f"| {' | '.join(MARKUP.sub(_escaped, ' '.join(text.split())) for text in texts)} |"


def _escaped(found: re.Match[str]) -> str:
    return "&lt;" if found.group() == "<" else re.sub(r"(.)", r"\\\1", found.group())


def shade(value: float) -> str:
    """Return the colour of a heat map: orange for −1, white for 0, blue for 1 (told apart by the colour-blind)."""
    strength = min(abs(value), 1.0)
    end = (91, 155, 213) if value > 0 else (237, 139, 68)
    return "#" + "".join(f"{round(255 + (part - 255) * strength):02x}" for part in end)


def points(value: float, signed: bool = False) -> str:
    """Return a number of 0–1 in points of 100."""
    if not math.isfinite(value):
        return MISSING
    return f"{100 * value:+.1f}" if signed else f"{100 * value:.1f}"


def number(value: float, signed: bool = False) -> Cell:
    """Return a cell of points."""
    return Cell(points(value, signed), value)


def span(interval: Interval) -> str:
    """Return an interval in points."""
    ends = ("∞" if math.isinf(end) else f"{100 * end:+.1f}" for end in (interval.low, interval.high))
    return f"[{', '.join(ends)}]"


def without_comparison(results: Results, name: str, metric: str) -> str:
    """Say why a variant has no comparison: too few runs, or a metric of objects that are not there."""
    values = [*results.values(name, metric).values(), *results.values(BASELINE, metric).values()]
    return "too few runs" if any(map(math.isfinite, values)) or not values else f"no object that {metric} counts"


def verdict_text(comparison: Comparison | None, without: str = "too few runs") -> str:
    """Return the verdict as a reader should take it; what stands for it where there is no comparison."""
    if comparison is None:
        return without
    if comparison.verdict is Verdict.NONE:
        if comparison.constant:
            return f"{Verdict.NONE.value}: the seeds do not differ at all"
        return f"{Verdict.NONE.value}: this design could have seen ≥ {100 * comparison.detectable:.1f}"
    return comparison.verdict.value


def verdict_cell(comparison: Comparison | None, remark: str, without: str) -> Cell:
    """Return the verdict with its colour, and what has to stand beside it."""
    tone = "" if comparison is None else TONES[comparison.verdict]
    return Cell(
        verdict_text(comparison, without) + remark, None if comparison is None else comparison.interval.mean, tone
    )


def verdict_table(
    results: Results, analysis: Analysis, costs: dict[str, Cost], changed: Mapping[str, Sequence[str]]
) -> Table:
    """Build the first table, the verdicts: what a reader came for.

    Args:
        results: of the study.
        analysis: of the metric that decides.
        costs: of each variant.
        changed: variant → its attention that does not start as the identity on pretrained weights.
    """
    rows = []
    base = costs[BASELINE]
    for name in ordered(results):
        values = [v for v in results.values(name, analysis.metric, analysis.which).values() if math.isfinite(v)]
        comparison, own = analysis.against_baseline(name), analysis.own.get(name)
        added, late = costs[name].parameters - base.parameters, added_latency(costs[name], base)
        reference = name == BASELINE
        remark, without = CHANGED if changed.get(name) else "", without_comparison(results, name, analysis.metric)
        rows.append(
            (
                Cell(name),
                Cell("reference") if reference else verdict_cell(comparison, remark, without),
                Cell(MISSING) if comparison is None else _difference(comparison),
                _p_cell(comparison),
                Cell(f"{points(mean(values))} ± {points(deviation(values))}", mean(values)),
                _against_control(own),
                Cell(f"{added:+,}", added),
                Cell(MISSING, 0.0) if reference else Cell(f"{late:+.1f}", late),
            )
        )
    head = (
        "variant",
        "verdict",
        f"difference of {analysis.metric}",
        "p (Holm)",
        f"{analysis.metric} ± sd",
        "against its control",
        "added parameters",
        "added ms an image",
    )
    notes = (
        f"{analysis.metric} of the {analysis.which} epoch, in points, measured on {results.plan.split} "
        f"({results.plan.sizes[results.plan.split]} images), {len(results.plan.spec.seeds)} seeds. In brackets the "
        "interval from which the verdict is read. Variants, controls, and variants against their controls are three "
        "families, each with 95 % confidence for all of it together.",
    )
    return Table("verdict", head, tuple(rows), notes, kind="cards")


def _p_cell(comparison: Comparison | None) -> Cell:
    """Return the corrected p, nothing where there was nothing to compare or nothing is judged yet."""
    if comparison is None or comparison.verdict in (Verdict.UNLEARNED, Verdict.OPEN):
        return Cell(MISSING)
    return Cell(f"{comparison.p_holm:.3f}", comparison.p_holm)


def _against_control(own: Comparison | None) -> Cell:
    if own is None or own.verdict in (Verdict.UNLEARNED, Verdict.OPEN):
        return Cell(MISSING)
    return _difference(own, f"{own.verdict.value}: ")


def _difference(comparison: Comparison, prefix: str = "") -> Cell:
    text = f"{prefix}{points(comparison.interval.mean, True)} {span(comparison.corrected)}"
    return Cell(text, comparison.interval.mean, TONES[comparison.verdict])


def ordered(results: Results) -> list[str]:
    """Return the variants that have runs, the baseline first, each control after its variant."""
    return [name for name in results.plan.models if name in results.by_variant]


def mean(values: Sequence[float]) -> float:
    """Return the mean, NaN of nothing."""
    return fmean(values) if values else math.nan


def deviation(values: Sequence[float]) -> float:
    """Return the sample standard deviation, NaN of fewer than two."""
    return stdev(values) if len(values) > 1 else math.nan
