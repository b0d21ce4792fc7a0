"""Runs of one study that machines trained in different precision, each by its own choice."""

from collections.abc import Callable
from typing import Any

import pytest
import yaml

from study.analysis.mixed_precision import mixed_precision
from study.analysis.results import gather
from study.plan.plan import Plan
from study.plan.run import Run


@pytest.fixture
def trained(make: Callable[..., Plan], finish_run: Callable[..., None]) -> Callable[..., str]:
    """Return a function that finishes a study, each run in the precision that it is told, and says what is found."""

    def told(precision: Callable[[Run], Any], **changes: Any) -> str:
        plan = make(**{"seeds": 2, "controls": None, **changes})
        for run in plan.runs:
            finish_run(plan, run, 2.0)
            content = {"amp": precision(run), "epochs": 2}
            (run.folder / "train" / "args.yaml").write_text(yaml.safe_dump(content))
        return mixed_precision(gather(plan, plan.runs))

    return told


def test_one_precision_is_nothing_to_say(trained: Callable[..., str]) -> None:
    assert not trained(lambda run: "bf16")


def test_seeds_of_their_own_precision_stay_fair(trained: Callable[..., str]) -> None:
    said = trained(lambda run: "bf16" if run.seed else "fp32")
    assert "(3 in bf16, 3 in fp32 runs): within each seed all variants have the same" in said


def test_a_seed_whose_variants_differ_is_named(trained: Callable[..., str]) -> None:
    said = trained(lambda run: "bf16" if run.seed and run.variant == "se" else "fp32")
    assert "(1 in bf16, 5 in fp32 runs): in seed 1 the variants differ in it" in said
    assert "train: {amp: off}" in said


def test_a_precision_that_the_spec_names_is_no_choice_of_the_machine(trained: Callable[..., str]) -> None:
    variants = {"se": "SE@neck.P3", "fp32": {"train": {"amp": "off"}}}
    assert not trained(lambda run: "fp32" if run.variant == "fp32" else "bf16", variants=variants)


def test_a_spec_that_says_auto_leaves_it_to_the_machine(trained: Callable[..., str]) -> None:
    train = {"imgsz": 64, "batch_size": 4, "amp": "auto"}
    said = trained(lambda run: "fp32" if run.variant == "se" else "bf16", train=train, seeds=1)
    assert "in seed 0 the variants differ" in said


@pytest.mark.parametrize("content", ["", "[", "amp: maybe", "- amp", "amp: true", "\0"])
def test_what_is_not_written_down_is_not_guessed(
    content: str, make: Callable[..., Plan], finish_run: Callable[..., None]
) -> None:
    plan = make(seeds=1, controls=None)
    for run in plan.runs:
        finish_run(plan, run, 2.0)
        (run.folder / "train" / "args.yaml").write_text(content)
    results = gather(plan, plan.runs)
    assert {result.precision for runs in results.by_variant.values() for result in runs.values()} == {""}
    assert not mixed_precision(results)
