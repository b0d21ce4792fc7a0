"""Answers in plain words, for every way a study can end."""

from collections.abc import Hashable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from study.analysis.learned import without_verdict
from study.analysis.statistics import compare_with_baseline
from study.execute.cost import Cost
from study.report.verdict_text import Answer, answers

BASE: Mapping[Hashable, float] = {seed: 0.40 for seed in range(4)}
# Means of 2.03 points and standard deviations of 0.104: intervals of 3.18 · 0.104 / 2 = 0.17 on either side.
UP, DOWN, LEVEL = (0.021, 0.019, 0.020, 0.0213), (-0.021, -0.019, -0.020, -0.0213), (0.004, -0.005, 0.003, -0.001)
COSTS = {"baseline": Cost(1000, 1, (5.0, 6.0, 7.0)), "v": Cost(1250, 1, (6.0, 7.5, 8.0))}


def answer(
    to_baseline: tuple[float, ...],
    to_control: tuple[float, ...] | None = None,
    costs: Mapping[str, Cost] = COSTS,
    train: Mapping[str, Any] | None = None,
    learned: bool = True,
    changed: Mapping[str, Sequence[str]] | None = None,
) -> Answer:
    """Return what is said of differences over four seeds."""
    spec = SimpleNamespace(variants=[SimpleNamespace(name="v", train=train or {})])
    results: Any = SimpleNamespace(plan=SimpleNamespace(models=dict(costs), spec=spec), by_variant=costs)
    compared = compare_with_baseline(BASE, {"v": {seed: BASE[seed] + step for seed, step in enumerate(to_baseline)}})
    zero: Mapping[Hashable, float] = dict.fromkeys(range(4), 0.0)
    own = {} if to_control is None else compare_with_baseline(zero, {"v": dict(enumerate(to_control))})
    both = [without_verdict(comparisons, dict.fromkeys(comparisons, learned)) for comparisons in (compared, own)]
    analysis: Any = SimpleNamespace(metric="AP", baseline=both[0], own=both[1])
    (found,) = answers(results, analysis, costs, changed or {})
    return found


def test_a_gain_is_a_gain_and_says_what_it_costs() -> None:
    found = answer(UP)
    assert (found.name, found.verdict, found.tone) == ("v", "gain", "gain")
    assert found.text.startswith("AP rises by 2.0 points on average over 4 seeds; the true difference probably lies")
    assert found.text.endswith("Cost: +250 parameters (+25.0 %), +1.0 ms an image.")


def test_a_loss_is_a_loss() -> None:
    found = answer(DOWN, UP)
    assert found.verdict == "loss"
    assert "AP falls by 2.0 points" in found.text
    assert "attention itself helps" not in found.text


def test_nothing_detected_is_not_called_no_effect() -> None:
    found = answer(LEVEL)
    assert found.verdict == "no detectable effect"
    assert "AP differs by +0.0 points on average over 4 seeds; chance alone does as much" in found.text
    assert "would usually miss effects of less than about " in found.text
    assert "no effect" not in found.text


@pytest.mark.parametrize(
    ("control", "said"),
    [
        (None, "Without a control, the gain may come from the added size alone."),
        (UP, "it is better: +2.0 [+1.9, +2.2]. So attention itself helps, not only the added size."),
        (LEVEL, "no difference is detectable: +0.0 [-0.6, +0.7]. So the gain may come from the added size alone."),
        (DOWN, "it is worse: -2.0 [-2.2, -1.9]. So plain convolutions of that size would help more."),
    ],
)
def test_a_gain_is_credited_by_the_control(control: tuple[float, ...] | None, said: str) -> None:
    assert said in answer(UP, control).text


def test_a_gain_without_more_parameters_is_not_put_down_to_size() -> None:
    assert "size" not in answer(UP, costs={**COSTS, "v": COSTS["baseline"]}, train={"amp": "off"}).text


def test_flags_of_its_own_are_another_cause_of_a_gain() -> None:
    found = answer(UP, train={"attention_lr": 5}).text
    assert "Without a control, the gain may come from the added size or its own training flags alone." in found
    assert "So the gain may come from the added size or its own" in answer(UP, LEVEL, train={"attention_lr": 5}).text
    assert "So attention itself helps" in answer(UP, UP, train={"attention_lr": 5}).text  # the control has them too


@pytest.mark.parametrize("steps", [UP, DOWN, LEVEL])
def test_models_that_learned_nothing_get_no_verdict(steps: tuple[float, ...]) -> None:
    found = answer(steps, UP, learned=False)
    assert found.verdict == "nothing was learned, the budget is too short"
    assert found.tone == "none"
    assert found.text.startswith("AP50 stays below 1 point with and without it, so there is nothing to compare yet")
    assert "control" not in found.text
    assert "true difference" not in found.text


def test_a_start_that_changes_the_detector_is_said_beside_the_verdict() -> None:
    places = [f"CBAM after {row}" for row in (4, 6, 9, 13, 17, 20)]
    said = (
        "It does not start as the identity on the pretrained weights (CBAM after 4, CBAM after 6, CBAM after 9, CBAM "
    )
    assert (
        said + "after 13 and 2 more), so the verdict is about that start too" in answer(UP, changed={"v": places}).text
    )
    assert "start" not in answer(UP).text


@pytest.mark.parametrize("difference", [0.0, 0.1])
def test_runs_that_do_not_vary_leave_nothing_to_judge_by(difference: float) -> None:
    found = answer((difference,) * 4)
    assert found.verdict == "no detectable effect"
    assert "which leaves nothing to judge it by" in found.text


def test_names_are_escaped_in_the_page() -> None:
    text = Answer("a<b", "gain", "gain", "1 < 2")
    assert text.html() == '<li><strong>a&lt;b</strong>: <span class="gain">gain</span>. 1 &lt; 2</li>'
    assert text.markdown() == "- **a<b: gain.** 1 < 2"
