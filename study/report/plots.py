"""Draw the plots of the page as SVG text: small ones, so that they stay readable on a telephone."""

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib as mpl
import numpy as np
from markupsafe import Markup, escape
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from metrics.tide import KINDS
from study.analysis.intervals import Interval, Verdict
from study.analysis.results import Results
from study.analysis.statistics import Comparison
from study.execute.cost import Cost, quartiles
from study.plan.variants import BASELINE, CONTROL
from study.report.comparison_table import mean, ordered

# Okabe & Ito's colours, which the colour-blind tell apart.
GREY = "#666666"
COLOURS = {**dict.fromkeys(Verdict, GREY), Verdict.GAIN: "#0072b2", Verdict.LOSS: "#d55e00"}
CYCLE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#999933", "#882255")
WIDTH = 4.4  # inches; 72 pixels each on the page
LETTER = 0.075  # inches that a letter is wide at most, on average
ROOM = 24  # letters of a name beside a figure of that width
# Text stays text; ids do not depend on the time, so that equal reports are equal files.
STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "study",
    "pdf.fonttype": 42,
    "font.size": 9,
    "font.family": "sans-serif",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "axes.axisbelow": True,
}


def _figure(height: float, width: float = WIDTH) -> tuple[Figure, Any]:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def _with_legend(names: Sequence[str], height: float) -> tuple[Figure, Any, dict[str, Any]]:
    """Return a figure with room for a legend below it, and the legend's settings: up to three columns, as many as fit.

    Args:
        names: in the legend.
        height: without it, in inches.
    """
    entry = 0.45 + LETTER * max(map(len, names), default=0)
    columns = max(1, min(3, int(WIDTH / entry)))
    figure, axes = _figure(height + 0.16 * -(-len(names) // columns), max(WIDTH, entry))
    return figure, axes, {"loc": "outside lower center", "ncols": columns, "frameon": False, "fontsize": 8}


def _svg(figure: Figure, label: str, pdf: Path | None = None) -> Markup:
    """Return a figure as an SVG element with a name for those who cannot see it; write it as PDF too where wanted."""
    if pdf is not None:
        pdf.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(pdf, metadata={"CreationDate": None, "Creator": None, "Producer": None})
    text = io.StringIO()
    figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    start = text.getvalue().index("<svg")
    element = text.getvalue()[start:].replace("<svg ", f'<svg role="img" aria-label="{escape(label)}" ', 1)
    return Markup(element)  # noqa: S704 - matplotlib escapes the text in it


def colours(names: Sequence[str]) -> dict[str, str]:
    """Return a colour for each: the baseline grey, a control that of its variant."""
    owners = list(dict.fromkeys(name.removesuffix(CONTROL) for name in names if name != BASELINE))
    palette = {name: CYCLE[owners.index(name.removesuffix(CONTROL)) % len(CYCLE)] for name in names if name != BASELINE}
    return {BASELINE: "#777777", **palette}


def forest(comparisons: Mapping[str, Comparison], label: str, pdf: Path | None = None) -> Markup:
    """Plot differences with intervals, and every seed's difference as a stroke; into a PDF file too where named."""
    with mpl.rc_context(STYLE):
        longest = max(map(len, comparisons), default=0)
        figure, axes = _figure(1.0 + 0.34 * max(len(comparisons), 1), WIDTH + LETTER * max(0, longest - ROOM))
        for at, comparison in enumerate(comparisons.values()):
            colour = COLOURS[comparison.verdict]
            ends = [100 * end for end in (comparison.corrected.low, comparison.corrected.high)]
            if all(map(math.isfinite, ends)):
                axes.plot(ends, [at, at], color=colour, linewidth=1)
            axes.plot(
                [100 * comparison.interval.low, 100 * comparison.interval.high], [at, at], color=colour, linewidth=3
            )
            axes.plot(100 * comparison.interval.mean, at, "o", color=colour, markersize=6)
            strokes = [100 * value for value in comparison.differences]
            axes.plot(strokes, [at + 0.25] * len(strokes), "|", color=colour, markersize=6, alpha=0.7)
        axes.axvline(0, color="black", linewidth=0.8)
        axes.set_yticks(range(len(comparisons)), list(comparisons))
        axes.set_ylim(len(comparisons) - 0.5, -0.6)
        figure.supxlabel(label, fontsize=STYLE["font.size"])  # in the middle of the figure, however narrow the axes
        return _svg(figure, f"Forest plot: {label}", pdf)


def forest_of_sets(
    by_set: Mapping[str, Mapping[str, Comparison]],
    pooled: Mapping[str, tuple[Interval, Verdict]],
    label: str,
    pdf: Path | None = None,
) -> Markup:
    """Plot each pooled variant's difference on every data set, and below them over all as a diamond.

    Args:
        by_set: data set → variant → its comparison there, with the interval of its verdict.
        pooled: variant → interval over the data sets and verdict.
        label: of the axis.
        pdf: file to write, too.
    """
    palette = dict(zip(by_set, CYCLE * (1 + len(by_set) // len(CYCLE)), strict=False))
    step = 0.8 / (len(by_set) + 1)
    with mpl.rc_context(STYLE):
        figure, axes, legend = _with_legend(list(by_set), 1.0 + 0.2 * (len(by_set) + 1) * max(len(pooled), 1))
        for at, (name, (interval, verdict)) in enumerate(pooled.items()):
            for row, (data, comparisons) in enumerate(by_set.items()):
                if name in comparisons:
                    ends = comparisons[name].corrected
                    y, mean_there = at - 0.4 + step * row, 100 * comparisons[name].interval.mean
                    if math.isfinite(ends.low) and math.isfinite(ends.high):
                        axes.plot([100 * ends.low, 100 * ends.high], [y, y], color=palette[data], linewidth=1)
                    axes.plot(mean_there, y, "o", color=palette[data], markersize=4)
            y, colour = at - 0.4 + step * len(by_set), COLOURS[verdict]
            axes.plot([100 * interval.low, 100 * interval.high], [y, y], color=colour, linewidth=3)
            axes.plot(100 * interval.mean, y, "D", color=colour, markersize=6)
        for data, colour in palette.items():
            axes.plot([], [], "o-", color=colour, markersize=4, linewidth=1, label=data)
        axes.axvline(0, color="black", linewidth=0.8)
        axes.set_yticks(range(len(pooled)), list(pooled))
        axes.set_ylim(len(pooled) - 0.5, -0.6)
        axes.set_xlabel(label)
        figure.legend(**legend)
        return _svg(figure, f"Forest plot: {label}", pdf)


def pareto(results: Results, costs: dict[str, Cost], metric: str, which: str, pdf: Path | None = None) -> Markup:
    """Plot metric against latency; the line joins what nothing else beats in both; into a PDF file too where named."""
    names = ordered(results)
    palette = colours(names)
    with mpl.rc_context(STYLE):
        figure, axes, legend = _with_legend(names, 2.84)
        positions = []
        for name in names:
            values = [v for v in results.values(name, metric, which).values() if math.isfinite(v)]
            if not values:
                continue
            x, y = median(costs[name].latency_ms), 100 * mean(values)
            low, high = quartiles(costs[name])
            control = name.endswith(CONTROL)
            axes.errorbar(
                x,
                y,
                xerr=[[x - low], [high - x]],
                fmt="s" if control else "o",
                markerfacecolor="white" if control else palette[name],
                color=palette[name],
                label=name,
                markersize=6,
                elinewidth=1,
            )
            positions.append((x, y))
        line = pareto_line(positions)
        axes.plot([x for x, _ in line], [y for _, y in line], "--", color="#999999", linewidth=1, zorder=0)
        axes.margins(x=0.1, y=0.15)
        axes.set_xlabel("ms an image, median")
        axes.set_ylabel(f"mean {metric}, points")
        if positions:
            figure.legend(**legend)
        return _svg(figure, f"{metric} against latency", pdf)


def proposals(points: Mapping[str, tuple[float, float]], named: Sequence[str], ylabel: str) -> Markup:
    """Plot the candidates of a scan, score against time; named ones get their names and are joined by a line.

    Args:
        points: name → (milliseconds, score).
        named: from the cheapest to the best.
        ylabel: what the score is.
    """
    with mpl.rc_context(STYLE):
        figure, axes = _figure(3.4)
        xs, ys = zip(*points.values(), strict=True)
        axes.plot(xs, ys, "o", color=GREY, markersize=3, alpha=0.6)
        axes.plot([points[n][0] for n in named], [points[n][1] for n in named], "o--", color=CYCLE[0], markersize=5)
        for name in named:
            axes.annotate(name, points[name], fontsize=7, xytext=(4, 3), textcoords="offset points")
        axes.axhline(0, color="black", linewidth=0.8)
        axes.set_xscale("log")
        axes.margins(x=0.15, y=0.12)
        axes.set_xlabel("ms of the mechanism, one image")
        axes.set_ylabel(ylabel)
        return _svg(figure, f"{ylabel} against time")


def pareto_line(positions: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the points that no other beats in both, from the fastest to the best.

    Args:
        positions: (cost, value) pairs; less cost and more value are better.
    """
    best, line = -math.inf, []
    for x, y in sorted(positions, key=lambda position: (position[0], -position[1])):
        if y > best:
            best = y
            line.append((x, y))
    return line


def learning_curves(results: Results) -> list[Markup]:
    """Plot one small figure for each variant: mean and range over seeds, its control beside it, the baseline behind."""
    names = ordered(results)
    palette = colours(names)
    figures = []
    with mpl.rc_context(STYLE):
        for name in (name for name in names if name != BASELINE and not name.endswith(CONTROL)):
            figure, axes = _figure(2.6)
            for other in (BASELINE, f"{name}{CONTROL}", name):
                curves = [[row["metrics/mAP50-95(B)"] for row in r.curve] for r in _runs(results, other)]
                if curves:
                    _band(axes, curves, other, palette[other])
            axes.set_xlabel("epoch")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
            axes.set_ylabel("AP on val, points")
            axes.legend(frameon=False, fontsize=8, loc="lower right")
            figures.append(_svg(figure, f"Learning curves of {name}"))
    return figures


def _runs(results: Results, name: str) -> list[Any]:
    return list(results.by_variant.get(name, {}).values())


def _band(axes: Any, curves: list[list[float]], label: str, colour: str) -> None:
    length = min(map(len, curves))
    values = 100 * np.array([curve[:length] for curve in curves])
    epochs = np.arange(1, length + 1)
    axes.fill_between(epochs, values.min(0), values.max(0), color=colour, alpha=0.18, linewidth=0)
    marker, style = "o" if length < 3 else None, "--" if label.endswith(CONTROL) else "-"
    text = f"{label} ({len(curves)} seeds)"
    axes.plot(epochs, values.mean(0), style, color=colour, label=text, linewidth=1.5, marker=marker)


def errors(results: Results, which: str) -> Markup:
    """Plot what each kind of error costs in AP, bars for each variant."""
    with mpl.rc_context(STYLE):
        names = ordered(results)
        palette = colours(names)
        figure, axes, legend = _with_legend(names, 1.04 + 0.12 * len(names) * len(KINDS))
        height = 0.8 / len(names)
        for number, name in enumerate(names):
            runs = _runs(results, name)
            costs = [100 * mean([run.metrics[which]["tide"]["dAP"][kind] for run in runs]) for kind in KINDS]
            at = np.arange(len(KINDS)) + (number - (len(names) - 1) / 2) * height
            control = name.endswith(CONTROL)
            axes.barh(at, costs, height, label=name, color=palette[name], alpha=0.45 if control else 1)
        axes.set_yticks(np.arange(len(KINDS)), KINDS)
        axes.invert_yaxis()
        axes.set_xlabel("points of AP50 that mending it alone would gain")
        figure.legend(**legend)
        return _svg(figure, "Cost of each kind of error")
