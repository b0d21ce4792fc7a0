"""Adding seeds: only to a study that planned for it, one finished look after the other."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from engine.errors import UsageError
from study.plan.planned_looks import finish_look, to_add, with_looks
from study.plan.study_spec import read_study


def test_seeds_are_added_look_by_look(write_spec: Callable[..., Path], tmp_path: Path) -> None:
    spec = read_study(write_spec(seeds=[3, 4], max_seeds=6))
    first = with_looks(spec, tmp_path, None)
    assert (first.seeds, first.looks) == ((3, 4), (2,))
    with pytest.raises(UsageError, match="the look at 2 seeds is not finished"):
        with_looks(spec, tmp_path, 2)
    finish_look(first, tmp_path)
    assert with_looks(spec, tmp_path, 2, keep=False).looks == (2, 4)
    second = with_looks(spec, tmp_path, 2)
    assert (second.seeds, second.looks) == ((3, 4, 5, 6), (2, 4))
    assert with_looks(spec, tmp_path, 2) == second  # killed, and started with the same command
    assert with_looks(spec, tmp_path, None) == second
    finish_look(second, tmp_path)
    with pytest.raises(UsageError, match="4 of max_seeds: 6 are done, so 1 to 2 more can be added"):
        with_looks(spec, tmp_path, 3)


def test_a_study_that_did_not_plan_for_it_is_refused(write_spec: Callable[..., Path], tmp_path: Path) -> None:
    spec = read_study(write_spec(seeds=3))
    assert with_looks(spec, tmp_path, None) == spec
    with pytest.raises(UsageError, match="has spent its 5 % of false claims at 3 seeds"):
        with_looks(spec, tmp_path, 2)
    with pytest.raises(UsageError, match="max_seeds is 2, expected a whole number from 3"):
        read_study(write_spec(seeds=3, max_seeds=2))


def test_an_interrupted_addition_to_several_studies_adds_to_the_rest(
    write_spec: Callable[..., Path], tmp_path: Path
) -> None:
    spec = read_study(write_spec(seeds=2, max_seeds=6))
    parts = {name: replace(spec, name=name) for name in ("one", "two")}
    for name, part in parts.items():
        finish_look(with_looks(part, tmp_path / name, None), tmp_path / name)
    assert to_add(parts, tmp_path, 2) == {"one": 2, "two": 2}
    finish_look(with_looks(parts["one"], tmp_path / "one", 2), tmp_path / "one")  # then the command is ended
    assert to_add(parts, tmp_path, 2) == {"one": None, "two": 2}
    finish_look(with_looks(parts["two"], tmp_path / "two", 2), tmp_path / "two")
    assert to_add(parts, tmp_path, 2) == {"one": 2, "two": 2}  # the next look
    assert to_add(parts, tmp_path, None) == {"one": None, "two": None}
