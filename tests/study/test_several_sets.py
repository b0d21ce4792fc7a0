"""A study of several data sets: their own studies, and the report over all of them."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from markupsafe import Markup

from engine.errors import UsageError
from study import cli, several_sets
from study.analysis.alpha_spending import plan_looks
from study.analysis.statistics import compare_with_baseline
from study.plan.plan import address_runs, make_plan
from study.plan.study_spec import read_study
from study.several_sets import common_looks, each_set, refuse_pool, write_pooled_report


@pytest.fixture
def two(write_spec: Callable[..., Path], tiny_data: Path) -> Path:
    """The tiny study on its data set, and on the same images under another name."""
    other = tiny_data.with_name("other.yaml")
    other.write_text(tiny_data.read_text())
    return write_spec(data=[str(tiny_data), str(other)], controls=None)


def test_each_data_set_is_a_study_of_its_own(two: Path) -> None:
    parts = each_set(read_study(two))
    assert {name: (part.name, part.datasets) for name, part in parts.items()} == {
        "tiny": ("tiny/tiny", ()),
        "other": ("tiny/other", ()),
    }
    assert parts["other"].data.endswith("other.yaml")


def test_the_report_over_both(two: Path, tmp_path: Path, finish_run: Callable[..., None]) -> None:
    for number, part in enumerate(each_set(read_study(two)).values()):
        plan = make_plan(part, tmp_path / "runs")
        address_runs(plan, dict.fromkeys(plan.models, 2))
        for run in plan.runs:
            shift = {"baseline": 5.0, "se": 2.0 + number, "sk": 5.0 + (run.seed - 1)}[run.variant]
            finish_run(plan, run, shift + 0.4 * run.seed)
    argv = [str(two), "--report", "--project", str(tmp_path / "runs"), "--device", "cpu"]
    assert cli.main(argv) == 0
    report = (tmp_path / "runs" / "tiny" / "report.md").read_text()
    assert "| variant | tiny | other | pooled |" in report
    assert "se: over 2 data sets" in report
    assert "(tiny/report.md), [other](other/report.md)" in report
    assert r"\toprule" in (tmp_path / "runs" / "tiny" / "report.tex").read_text()
    page = (tmp_path / "runs" / "tiny" / "report.html").read_text()
    assert 'href="other/report.html"' in page
    assert 'aria-label="Forest plot: difference of' in page
    assert (tmp_path / "runs" / "tiny" / "figures" / "data-sets.pdf").read_bytes().startswith(b"%PDF")
    assert (tmp_path / "runs" / "tiny" / "other" / "report.html").is_file()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": ["a.yaml"]}, "expected a data set, or a list of two or more"),
        ({"data": ["a.yaml", 3]}, "expected a data set, or a list of two or more"),
        ({"data": ["x/a.yaml", "y/a.yaml"]}, "needs a file name of its own"),
        ({"data": ["a.yaml", "b.yaml"], "data_root": "."}, "data_root is one place"),
    ],
)
def test_errors(write_spec: Callable[..., Path], changes: dict[str, Any], message: str) -> None:
    path = write_spec()
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **changes}))
    with pytest.raises(UsageError, match=message):
        read_study(path)


@pytest.fixture
def studies(write_spec: Callable[..., Path], tiny_data: Path, tmp_path: Path) -> list[Path]:
    """Two studies of their own on two data sets, with one variant in common."""
    other = tiny_data.with_name("other.yaml")
    other.write_text(tiny_data.read_text())
    specs = tmp_path / "specs"
    specs.mkdir()
    made = []
    for name, changes in {
        "one": {},
        "two": {"data": str(other), "variants": {"se": "SE@neck.P3", "eca": "ECA@9"}},
    }.items():
        path = specs / f"{name}.yaml"
        path.write_text(write_spec(controls=None, name=name, **changes).read_text())
        made.append(path)
    return made


def test_studies_of_their_own_are_pooled(studies: list[Path], tmp_path: Path, finish_run: Callable[..., None]) -> None:
    for number, file in enumerate(studies):
        plan = make_plan(read_study(file), tmp_path / "runs")
        address_runs(plan, dict.fromkeys(plan.models, 2))
        for run in plan.runs:
            finish_run(plan, run, {"baseline": 5.0, "se": 2.0 + number}.get(run.variant, 4.0) + 0.4 * run.seed)
    files = list(map(str, studies))
    argv = [*files, "--report", "--project", str(tmp_path / "runs"), "--device", "cpu"]
    assert cli.main(argv) == 0
    assert not (tmp_path / "runs" / "both").exists()
    assert cli.main([*argv, "--pool", "both"]) == 0
    report = (tmp_path / "runs" / "both" / "report.md").read_text()
    assert "| variant | one | two | pooled |" in report
    assert "se: over 2 data sets" in report
    assert "Not pooled, as fewer than two data sets have a comparison of it: eca, sk." in report
    assert "on tiny, 2 epochs at 64 px, 3 seeds; two: " in report
    assert "[one](../one/report.md), [two](../two/report.md)" in report
    assert 'href="../one/report.html"' in (tmp_path / "runs" / "both" / "report.html").read_text()


def compared(**variants: list[float]) -> SimpleNamespace:
    """An analysis whose comparisons come from known differences, a value for each seed."""
    numbered = {name: dict(enumerate(values)) for name, values in variants.items()}
    baseline = dict.fromkeys(range(3), 0.0)
    return SimpleNamespace(baseline=compare_with_baseline(baseline, numbered), metric="AP")


def test_only_what_is_pooled_is_plotted(
    write_spec: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A data set whose seeds do not differ takes no part, and would be drawn as a point that looks certain."""
    drawn = {}
    monkeypatch.setattr(several_sets, "forest_of_sets", lambda by_set, *_: drawn.update(by_set) or Markup("<svg>"))
    analyses: Any = {
        "a": compared(se=[0.01, 0.02, 0.03], sk=[0.01, 0.0, 0.02]),
        "b": compared(se=[0.02, 0.01, 0.05], eca=[0.01, 0.0, 0.02]),
        "same": compared(se=[0.01, 0.01, 0.01], sk=[0.01, 0.03, 0.02]),
        "other": compared(eca=[0.01, 0.01, 0.01]),
    }
    spec = read_study(write_spec())
    write_pooled_report(dict.fromkeys(analyses, spec), tmp_path / "pool", analyses)
    assert {name: sorted(comparisons) for name, comparisons in drawn.items()} == {
        "a": ["se", "sk"],
        "b": ["se"],
        "same": ["sk"],
    }


def test_nothing_pooled_is_no_plot(write_spec: Callable[..., Path], tmp_path: Path) -> None:
    analyses: Any = {"a": compared(se=[0.01, 0.02, 0.03]), "b": compared(eca=[0.02, 0.01, 0.05])}
    folder = tmp_path / "pool"
    said = write_pooled_report(dict.fromkeys(analyses, read_study(write_spec())), folder, analyses)
    assert "Not pooled, as fewer than two data sets have a comparison of it: eca, se." in said
    assert "<figure" not in (folder / "report.html").read_text()
    assert "includegraphics" not in (folder / "report.tex").read_text()
    assert not (folder / "figures").exists()


@pytest.mark.parametrize(
    ("changes", "pool", "message"),
    [
        ({}, "one", "a folder name that no study has"),
        ({}, "../both", "a folder name that no study has"),
        ({"data": None}, "both", "the same images twice are no second data set"),
        ({"metrics": ["AP50"]}, "both", "write the same name first under metrics"),
        ({"variants": {"se": "SE@9"}}, "both", "its se is not that of .*one.yaml"),
        ({"name": "one"}, "both", "two have one name"),
    ],
)
def test_studies_that_cannot_stand_in_one_table(
    studies: list[Path], changes: dict[str, Any], pool: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = (yaml.safe_load(path.read_text()) for path in studies)
    content = {**second, **changes}
    studies[1].write_text(yaml.safe_dump({**content, "data": content["data"] or first["data"]}))
    assert cli.main([*map(str, studies), "--pool", pool]) == 2
    assert re.search(message, capsys.readouterr().err)


def test_one_study_is_not_pooled(studies: list[Path]) -> None:
    with pytest.raises(UsageError, match="takes two studies or more"):
        refuse_pool([read_study(studies[0])], "both")


def test_studies_that_may_grow_are_pooled_by_their_looks(write_spec: Callable[..., Path]) -> None:
    """Where they have looked at other numbers of seeds, what is pooled is judged at the strictest level."""
    spec = read_study(write_spec(seeds=2, max_seeds=6))
    first, second = replace(spec, looks=(2,)), replace(spec, looks=(2, 4))
    assert common_looks([second, second]) == plan_looks([2, 4], 6)
    assert common_looks([first, second]) == plan_looks([2], 6)  # that of the first look is the smaller one
    fixed = replace(spec, max_seeds=None)
    assert common_looks([fixed, fixed]) == []
    assert common_looks([fixed, second]) == plan_looks([2, 4], 6)[1:]
