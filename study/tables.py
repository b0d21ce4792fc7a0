"""Tables of the report, once for Markdown and HTML."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

from study.analysis import Analysis
from study.cost import Cost
from study.results import Results
from study.statistics import Comparison, Interval, Verdict
from study.variants import BASELINE

MISSING = "–"
TONES = {Verdict.GAIN: "gain", Verdict.LOSS: "loss", Verdict.NONE: "none"}


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


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        name: id in the page.
        head: columns.
        rows: of cells.
        notes: below it, a line each.
        heat: whether it is a heat map.
    """

    name: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = field(default_factory=tuple)
    heat: bool = False

    def markdown(self) -> str:
        """The table in Markdown."""
        lines = ["| " + " | ".join(self.head) + " |", "|" + "|".join(["---"] * len(self.head)) + "|"]
        lines += ["| " + " | ".join(cell.text.replace("|", "\\|") for cell in row) + " |" for row in self.rows]
        lines += [f"\n{note}" for note in self.notes]
        return "\n".join(lines) + "\n"

    def html(self) -> str:
        """The table in HTML; a click on a head sorts it."""
        head = "".join(f'<th scope="col"><button type="button">{escape(text)}</button></th>' for text in self.head)
        rows = "".join(f"<tr>{''.join(_html_cell(cell, i) for i, cell in enumerate(row))}</tr>" for row in self.rows)
        kind = ' class="heat"' if self.heat else ""
        notes = "".join(f'<p class="note">{escape(note)}</p>' for note in self.notes)
        table = f'<table id="{self.name}"{kind}><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
        return f'<div class="wide" tabindex="0">{table}</div>{notes}'


def _html_cell(cell: Cell, column: int) -> str:
    tag = "th" if column == 0 else "td"
    scope = ' scope="row"' if column == 0 else ""
    sort = f' data-sort="{cell.sort:.9g}"' if cell.sort is not None and math.isfinite(cell.sort) else ""
    tone = f' class="{cell.tone}"' if cell.tone else ""
    style = "" if cell.shade is None else f' style="background:{shade(cell.shade)}"'
    return f"<{tag}{scope}{sort}{tone}{style}>{escape(cell.text)}</{tag}>"


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


def verdict_text(comparison: Comparison | None) -> str:
    """Return the verdict as a reader should take it."""
    if comparison is None:
        return "too few runs"
    if comparison.verdict is Verdict.NONE:
        if comparison.spread == 0:
            return f"{Verdict.NONE.value}: the seeds do not differ at all"
        return f"{Verdict.NONE.value}: this design could have seen ≥ {100 * comparison.detectable:.1f}"
    return comparison.verdict.value


def verdict_cell(comparison: Comparison | None) -> Cell:
    """Return the verdict with its colour."""
    tone = "" if comparison is None else TONES[comparison.verdict]
    return Cell(verdict_text(comparison), None if comparison is None else comparison.interval.mean, tone)


def verdict_table(results: Results, analysis: Analysis, costs: dict[str, Cost]) -> Table:
    """The first table: what a reader came for."""
    rows = []
    base = costs[BASELINE]
    for name in ordered(results):
        values = [v for v in results.values(name, analysis.metric, analysis.which).values() if math.isfinite(v)]
        comparison, own = analysis.against_baseline(name), analysis.own.get(name)
        latency, zero = middle(costs[name].latency_ms), middle(base.latency_ms)
        if name == BASELINE:
            cells = (Cell("reference"), Cell(MISSING, 0.0), Cell(MISSING, math.inf), Cell(MISSING))
        else:
            cells = (
                verdict_cell(comparison),
                Cell(MISSING) if comparison is None else _difference(comparison),
                Cell(MISSING) if comparison is None else Cell(f"{comparison.p_holm:.3f}", comparison.p_holm),
                Cell(MISSING) if own is None else Cell(f"{_short(own)} {points(own.interval.mean, True)}"),
            )
        rows.append(
            (
                Cell(name),
                *cells[:3],
                Cell(f"{points(mean(values))} ± {points(deviation(values))}", mean(values)),
                cells[3],
                Cell(f"{costs[name].parameters - base.parameters:+,}", costs[name].parameters - base.parameters),
                Cell(f"{latency - zero:+.1f}" if latency else MISSING, latency - zero),
            )
        )
    head = (
        "variant",
        "verdict",
        f"Δ{analysis.metric} to baseline",
        "p (Holm)",
        f"{analysis.metric} ± sd",
        "against its control",
        "Δ parameters",
        "Δ latency, ms",
    )
    notes = (
        f"{analysis.metric} of the {analysis.which} epoch, in points of 100, measured on the {results.plan.split} "
        f"split ({results.plan.sizes[results.plan.split]} pictures), {len(results.plan.spec.seeds)} seeds. Brackets: "
        "studentised interval of the paired differences over seeds at Holm's step (95 % for the whole family); zero "
        "outside it is a gain or a loss. Controls are a family of their own, and so are the comparisons with them: the "
        "same number of parameters as plain convolutions at the same places.",
    )
    return Table("verdict", head, tuple(rows), notes)


def _difference(comparison: Comparison) -> Cell:
    text = f"{points(comparison.interval.mean, True)} {span(comparison.corrected)}"
    return Cell(text, comparison.interval.mean)


def _short(comparison: Comparison) -> str:
    return {Verdict.GAIN: "gain", Verdict.LOSS: "loss", Verdict.NONE: "no effect seen"}[comparison.verdict]


def ordered(results: Results) -> list[str]:
    """Return the variants that have runs, the baseline first, each control after its variant."""
    return [name for name in results.plan.models if name in results.by_variant]


def mean(values: Sequence[float]) -> float:
    """Mean, NaN of nothing."""
    return sum(values) / len(values) if values else math.nan


def deviation(values: Sequence[float]) -> float:
    """Sample standard deviation, NaN of fewer than two."""
    if len(values) < 2:
        return math.nan
    center = mean(values)
    return math.sqrt(sum((value - center) ** 2 for value in values) / (len(values) - 1))


def middle(values: Sequence[float]) -> float:
    """Median; 0 of nothing."""
    ranked = sorted(values)
    half = len(ranked) // 2
    return (ranked[half] if len(ranked) % 2 else (ranked[half - 1] + ranked[half]) / 2) if ranked else 0.0


def quartiles(values: Sequence[float]) -> tuple[float, float]:
    """Lower and upper quartile; 0 of nothing."""
    ranked = sorted(values)
    return (ranked[len(ranked) // 4], ranked[(3 * len(ranked)) // 4]) if ranked else (0.0, 0.0)
