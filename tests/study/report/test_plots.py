"""Figures of the report: everything drawn lies on the page, however long the names are."""

from types import SimpleNamespace

import pytest

from study.analysis.statistics import compare_with_baseline
from study.execute.cost import Cost
from study.report import plots

SHORT = ["baseline", "se", "sk", "sk~control"]
LONG = ["baseline", "cbam-at-three-maps-with-a-rather-long-name", "se-twice_with_a-long.name", "x" * 60]


@pytest.fixture
def figures(monkeypatch):
    """Keep the figures instead of their SVG."""
    monkeypatch.setattr(plots, "_svg", lambda figure, *rest: figure)


def assert_whole(figure):
    figure.canvas.draw()
    drawn, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert drawn.x0 > -0.03
    assert drawn.y0 > -0.03
    assert drawn.x1 < width + 0.03
    assert drawn.y1 < height + 0.03


@pytest.mark.parametrize("names", [SHORT, LONG])
@pytest.mark.usefixtures("figures")
def test_differences_with_long_names(names):
    values = {name: {seed: 0.5 + 0.01 * seed * number for seed in range(3)} for number, name in enumerate(names)}
    comparisons = compare_with_baseline(values.pop("baseline"), values)
    assert_whole(plots.forest(comparisons, "difference of AP to the baseline, points"))


@pytest.mark.parametrize("names", [SHORT, LONG, [*SHORT, *"abcdefgh"]])
@pytest.mark.usefixtures("figures")
def test_legends_with_long_names(monkeypatch, names):
    monkeypatch.setattr(plots, "ordered", lambda results: names)
    results = SimpleNamespace(values=lambda name, *rest: {0: 0.5 + 0.01 * names.index(name)})
    costs = {name: Cost(1000, 10**9, (4.0 + number, 5.0, 9.0)) for number, name in enumerate(names)}
    assert_whole(plots.pareto(results, costs, "AP", "last"))
