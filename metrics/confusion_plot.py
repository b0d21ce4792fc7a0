"""Draw a confusion matrix as YOLOv5 does, with the confidence that it is counted at in its title."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from metrics.inputs import Ints

WRITTEN = 30  # classes up to which the cells bear their numbers


def plot_confusion(
    matrix: Ints, names: Sequence[str], path: str | Path, confidence: float, *, normalized: bool = True
) -> None:
    """Draw a confusion matrix; its suffix decides the format (.png, .pdf, .svg).

    Args:
        matrix: (K + 1, K + 1) from `metrics.curves.confusion_matrix`: predicted by true, background last.
        names: (K,) of the classes.
        path: image to write.
        confidence: that detections need to be counted, for the title.
        normalized: divide by the number of true objects of each class, as YOLOv5 does; else draw the counts.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    cells = matrix / np.maximum(matrix.sum(0, keepdims=True), 1) if normalized else matrix.astype(float)
    labels = [*map(str, names), "background"]
    few = len(labels) <= WRITTEN
    side = 6 + 0.25 * len(labels) if few else min(max(13.5, 5 + 0.1 * len(labels)), 21)
    figure = Figure(figsize=(side * 1.15, side), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    shown = np.where(cells > 0, cells, np.nan)
    most = 1 if normalized else max(float(cells.max()), 1)
    edges = np.arange(len(labels) + 1) - 0.5
    drawn = axes.pcolormesh(edges, edges, np.ma.masked_invalid(shown), cmap="Blues", vmin=0, vmax=most)  # vectors
    axes.set_aspect("equal")
    axes.invert_yaxis()
    solids = figure.colorbar(drawn, ax=axes, shrink=0.8).solids
    if solids is not None:
        solids.set(rasterized=False, edgecolor="face")
    if few:
        _write_cells(axes, cells, normalized)
    axes.set_xticks(range(len(labels)), labels, rotation=90)
    axes.set_yticks(range(len(labels)), labels)
    for text in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        text.set_parse_math(False)  # a class may be called "$5_10$"
    axes.tick_params(labelsize=10 if few else 6)
    axes.set_xlabel("true class")
    axes.set_ylabel("predicted class")
    what = "share of each true class" if normalized else "boxes"
    title = f"confusion matrix, {what}\ndetections from confidence {confidence:g}, IoU above 0.45"
    figure.suptitle(title)  # in the middle of the image, where long names beside the cells do not push it off
    figure.savefig(path, dpi=200 if few else 150)  # of 80 classes, 200 take twice as long and show no more


def _write_cells(axes: object, cells: np.ndarray, normalized: bool) -> None:
    """Write the numbers into the cells that have one."""
    dark = 0.45 if normalized else 0.45 * max(float(cells.max()), 1)
    for (row, column), value in np.ndenumerate(cells):
        if value >= (0.005 if normalized else 1):
            text = f"{value:.2f}" if normalized else f"{value:.0f}"
            colour = "white" if value > dark else "black"
            axes.text(column, row, text, ha="center", va="center", fontsize=8, color=colour)  # type: ignore[attr-defined]
