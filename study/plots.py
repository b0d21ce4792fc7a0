"""The figures of the page as SVG text: small ones, so that they stay readable on a telephone."""

import io
import math
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from metrics.tide import KINDS
from study.analysis import Analysis
from study.cost import Cost
from study.results import Results
from study.statistics import Verdict
from study.tables import mean, middle, ordered, quartiles
from study.variants import BASELINE, CONTROL

# Okabe & Ito's colours, which the colour-blind tell apart.
COLOURS = {Verdict.GAIN: "#0072b2", Verdict.LOSS: "#d55e00", Verdict.NONE: "#666666"}
CYCLE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#999933", "#882255")
WIDTH = 4.4  # inches; 72 pixels each on the page
# Text stays text; ids do not depend on the time, so that equal reports are equal files.
STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "study",
    "font.size": 9,
    "font.family": "sans-serif",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "axes.axisbelow": True,
}


def _figure(height: float) -> tuple[Figure, Any]:
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def _svg(figure: Figure, label: str) -> str:
    """Return a figure as an SVG element with a name for those who cannot see it."""
    text = io.StringIO()
    figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    start = text.getvalue().index("<svg")
    return text.getvalue()[start:].replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)


def forest(analysis: Analysis) -> str:
    """Differences to the baseline with intervals, and every seed's difference as a dot."""
    with mpl.rc_context(STYLE):
        rows = [(name, found) for name, found in {**analysis.baseline, **analysis.controls}.items()]
        rows.sort(key=lambda row: _family_order(row[0], list(analysis.baseline)))
        figure, axes = _figure(1.0 + 0.34 * max(len(rows), 1))
        for at, (_, found) in enumerate(rows):
            colour = COLOURS[found.verdict]
            ends = [100 * end for end in (found.corrected.low, found.corrected.high)]
            if all(map(math.isfinite, ends)):
                axes.plot(ends, [at, at], color=colour, linewidth=1)
            axes.plot([100 * found.interval.low, 100 * found.interval.high], [at, at], color=colour, linewidth=3)
            axes.plot(100 * found.interval.mean, at, "o", color=colour, markersize=6)
            dots = [100 * value for value in found.differences]
            axes.plot(dots, [at + 0.25] * len(dots), "|", color=colour, markersize=6, alpha=0.7)
        axes.axvline(0, color="black", linewidth=0.8)
        axes.set_yticks(range(len(rows)), [name for name, _ in rows])
        axes.set_ylim(len(rows) - 0.5, -0.6)
        axes.set_xlabel(f"difference of {analysis.metric} to the baseline, points")
        return _svg(figure, "Forest plot of the differences to the baseline")


def _family_order(name: str, variants: Sequence[str]) -> tuple[int, int]:
    """Sort each control behind its variant."""
    owner = name.removesuffix(CONTROL)
    place = variants.index(owner) if owner in variants else len(variants)
    return place, int(name.endswith(CONTROL))


def pareto(results: Results, costs: dict[str, Cost], metric: str, which: str) -> str:
    """Metric against latency; the line joins what nothing else beats in both."""
    with mpl.rc_context(STYLE):
        figure, axes = _figure(3.2)
        places = []
        for number, name in enumerate(ordered(results)):
            values = [v for v in results.values(name, metric, which).values() if math.isfinite(v)]
            if not values or not costs[name].latency_ms:
                continue
            x, y = middle(costs[name].latency_ms), 100 * mean(values)
            low, high = quartiles(costs[name].latency_ms)
            colour = "black" if name == BASELINE else CYCLE[number % len(CYCLE)]
            marker = "s" if name.endswith(CONTROL) else "o"
            axes.errorbar(x, y, xerr=[[x - low], [high - x]], fmt=marker, color=colour, capsize=2, markersize=5)
            axes.annotate(name, (x, y), xytext=(4, 4), textcoords="offset points", fontsize=8)
            places.append((x, y))
        line = pareto_line(places)
        axes.plot([x for x, _ in line], [y for _, y in line], "--", color="#999999", linewidth=1, zorder=0)
        axes.margins(x=0.25, y=0.2)
        axes.set_xlabel("latency of a picture, ms (median; bars: quartiles)")
        axes.set_ylabel(f"mean {metric}, points")
        return _svg(figure, f"{metric} against latency")


def pareto_line(places: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the points that no other beats in both, from the fastest to the best.

    Args:
        places: (cost, value) pairs; less cost and more value are better.
    """
    best, line = -math.inf, []
    for x, y in sorted(places, key=lambda place: (place[0], -place[1])):
        if y > best:
            best = y
            line.append((x, y))
    return line


def learning_curves(results: Results) -> list[str]:
    """One small figure for each variant: mean and range over seeds, its control beside it, the baseline behind."""
    names = ordered(results)
    figures = []
    with mpl.rc_context(STYLE):
        for number, name in enumerate(name for name in names if name != BASELINE and not name.endswith(CONTROL)):
            figure, axes = _figure(2.6)
            shown = [(BASELINE, "#888888"), (f"{name}{CONTROL}", "#e69f00"), (name, CYCLE[number % 2])]
            for other, colour in shown:
                curves = [[row["metrics/mAP50-95(B)"] for row in r.curve] for r in _runs(results, other)]
                if curves:
                    _band(axes, curves, other, colour)
            axes.set_xlabel("epoch")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
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
    marker = "o" if length < 3 else None
    axes.plot(epochs, values.mean(0), color=colour, label=f"{label} ({len(curves)})", linewidth=1.5, marker=marker)


def errors(results: Results, which: str) -> str:
    """What each kind of error costs, bars for each variant."""
    with mpl.rc_context(STYLE):
        names = ordered(results)
        figure, axes = _figure(1.2 + 0.12 * len(names) * len(KINDS))
        height = 0.8 / len(names)
        for number, name in enumerate(names):
            runs = _runs(results, name)
            costs = [100 * mean([run.metrics[which]["tide"]["dAP"][kind] for run in runs]) for kind in KINDS]
            at = np.arange(len(KINDS)) + (number - (len(names) - 1) / 2) * height
            colour = "#888888" if name == BASELINE else CYCLE[number % len(CYCLE)]
            axes.barh(at, costs, height, label=name, color=colour)
        axes.set_yticks(np.arange(len(KINDS)), KINDS)
        axes.invert_yaxis()
        axes.set_xlabel("AP50 points gained if mended")
        axes.legend(frameon=False, fontsize=8)
        return _svg(figure, "Cost of each kind of error")
