"""Models that detect nothing: noise around zero gets no verdict, a fall to zero does."""

from types import SimpleNamespace
from typing import Any

import pytest

from study.analysis import learned
from study.analysis.comparisons import analyse
from study.analysis.intervals import Verdict
from study.analysis.results import Results

NOTHING = (0.0, 0.009, 0.002)  # below one point
LITTLE = (0.0, 0.011, 0.0)  # one seed above
MUCH = (0.50, 0.51, 0.505)


class Run(SimpleNamespace):
    """One number for every metric."""

    def value(self, metric: str, which: str = "last") -> float:
        return float(self.number)


def results(**values: tuple[float, ...]) -> Results:
    """Results made up of one number a run."""
    runs: Any = {
        name.replace("_", "~"): {seed: Run(number=number) for seed, number in enumerate(numbers)}
        for name, numbers in values.items()
    }
    return Results(SimpleNamespace(), runs)  # type: ignore[arg-type]


@pytest.mark.parametrize(("values", "expected"), [(NOTHING, False), (LITTLE, True), (MUCH, True)])
def test_one_seed_above_one_point_has_learned(values: tuple[float, ...], expected: bool) -> None:
    assert learned.has_learned(results(v=values), "v") is expected


def test_two_models_without_detections_are_not_compared() -> None:
    steady = (0.001, 0.001001, 0.000999)  # so even that the interval of its difference to zeros leaves out zero
    found = analyse(results(baseline=(0.0, 0.0, 0.0), v=steady, v_control=(0.0, 0.0, 0.0)), "AP", resample=False)
    assert found.baseline["v"].verdict is Verdict.UNLEARNED
    assert found.baseline["v"].corrected.low > 0  # a gain, were it believed
    assert found.controls["v~control"].verdict is Verdict.UNLEARNED
    assert found.own["v"].verdict is Verdict.UNLEARNED


def test_a_fall_to_nothing_is_a_loss() -> None:
    found = analyse(results(baseline=MUCH, v=(0.0, 0.0, 0.0)), "AP", resample=False)
    assert found.baseline["v"].verdict is Verdict.LOSS


def test_a_variant_that_learns_where_the_baseline_does_not_is_a_gain() -> None:
    found = analyse(results(baseline=(0.0, 0.0, 0.0), v=MUCH), "AP", resample=False)
    assert found.baseline["v"].verdict is Verdict.GAIN
