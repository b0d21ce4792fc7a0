"""The report of a study whose runs were made up: verdicts, files, and what they say."""

import csv
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.errors import UsageError
from metrics import MatchTable
from metrics.matching import RIGHT, WRONG
from study.analysis.comparisons import analyse
from study.analysis.intervals import Verdict
from study.analysis.results import gather
from study.analysis.statistics import compare_with_baseline
from study.execute import cost
from study.execute.cost import Cost, interleaved
from study.execute.local import Outcome
from study.plan.plan import Plan
from study.report.comparison_table import Cell, Table, deviation, mean, points, shade
from study.report.example_images import extremes, tallies
from study.report.latex import escaped, latex_table
from study.report.plots import pareto_line
from study.report.reproduce import flags_text, recipe, spec_text
from study.report.write import write_report


@pytest.fixture(autouse=True)
def _no_timing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Costs are made up, so that no model has to be timed."""

    def costs(models: dict[str, Any], imgsz: int, rounds: int, *args: Any) -> tuple[dict[str, Cost], dict[str, Any]]:
        found = {name: Cost(1000 + 100 * i, 10**9 + i, (4.0 + i, 5.0 + i, 9.0)) for i, name in enumerate(models)}
        return found, {"imgsz": imgsz, "rounds": rounds, "device": "CPU", "threads": 1}

    monkeypatch.setattr("study.report.write.measure_costs", costs)


def test_verdicts_are_those_of_the_statistics(study: Any) -> None:
    results = gather(study.plan, study.outcome.done)
    found = analyse(results, "AP")
    base: Any = results.values("baseline", "AP")
    variants: Any = {name: results.values(name, "AP") for name in ("se", "sk")}
    assert found.baseline == compare_with_baseline(base, variants)
    assert found.baseline["se"].verdict is Verdict.GAIN
    assert found.baseline["sk"].verdict is Verdict.NONE
    assert set(found.controls) == {"sk~control"}
    assert found.own["sk"].interval.mean == 0  # made to equal its control
    assert set(found.bootstrap["se"]) == {"images", "seeds", "seeds and images"}
    assert found.bootstrap["se"]["images"].mean == pytest.approx(found.baseline["se"].interval.mean)


def test_the_files_say_what_came_out(study: Any) -> None:
    text = write_report(study.plan, study.outcome)
    folder = study.plan.folder
    first, second, _ = text.splitlines()
    assert re.match(r"se: gain\. AP rises by \d+\.\d points on average over 3 seeds; the true difference ", first)
    assert "Without a control, the gain may come from the added size alone. Cost: +100 parameters (+10.0 %)" in first
    assert re.match(
        r"sk: no detectable effect\. AP differs by [+-]\d\.\d points on average over 3 seeds; chance ", second
    )
    assert "(its control) no difference is detectable: " in second
    with (folder / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12
    values = gather(study.plan, study.outcome.done).values("se", "AP50", "best")
    assert {int(r["seed"]): float(r["AP50_best"]) for r in rows if r["variant"] == "se"} == pytest.approx(
        values, abs=1e-6
    )
    markdown = (folder / "report.md").read_text()
    assert re.search(r"\| se \| gain \| \+\d", markdown)
    assert re.search(r"\| sk \| no detectable effect: this design could have seen ≥ \d", markdown)
    assert "python study.py tiny.yaml" in markdown
    assert "| sk | " in markdown.split("## Design")[1]


class Page(HTMLParser):
    """Collects what a page loads, and whether its elements close."""

    VOID = frozenset(("meta", "link", "img", "br", "path", "use"))

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.open: list[str] = []
        self.headings: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for key, value in attrs if key in ("src", "href", "xlink:href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for key, value in attrs if key in ("src", "href", "xlink:href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)


def test_the_page_is_whole_and_loads_nothing(study: Any) -> None:
    write_report(study.plan, study.outcome)
    text = (study.plan.folder / "report.html").read_text()
    page = Page()
    page.feed(text)
    assert page.open == []
    assert page.headings[0] == "Verdict"
    assert all(address.startswith(("data:", "#")) for address in page.addresses)
    assert text.count("<svg") == 6  # two forests, Pareto, two learning curves, errors
    assert "baseline" in page.headings or len(page.headings) >= 8
    write_report(study.plan, study.outcome)
    assert (study.plan.folder / "report.html").read_text() == text


def test_names_are_escaped() -> None:
    table = Table("t", ("<b>",), ((Cell("a & <i>"),),), ("1 < 2",))
    assert "&lt;b&gt;" in table.html()
    assert "a &amp; &lt;i&gt;" in table.html()
    assert "1 &lt; 2" in table.html()
    assert Table("t", ("a",), ((Cell("x|y"),),)).markdown().splitlines()[2] == "| x\\|y |"


def test_what_is_missing_is_said(make: Callable[..., Plan], study: Any) -> None:
    failed = study.plan.runs[-1]
    outcome = Outcome(done=study.plan.runs[:-2], failed={failed: "RuntimeError: no memory"})
    write_report(study.plan, outcome)
    text = (study.plan.folder / "report.md").read_text()
    assert "> sk~control seed 2 failed: RuntimeError: no memory" in text
    assert "> 1 of 12 runs are still to do: this report is preliminary." in text


def test_precision_that_machines_chose_is_said(make: Callable[..., Plan], finish_run: Callable[..., None]) -> None:
    plan = make(variants={"se": "SE@neck.P3"}, controls=None, seeds=2)
    for run in plan.runs:
        finish_run(plan, run, 2.0)
        (run.folder / "train" / "args.yaml").write_text(f"amp: {'bf16' if run.seed else 'fp32'}\n")
    write_report(plan, Outcome(done=plan.runs))
    text = (plan.folder / "report.md").read_text()
    assert "> Machines chose different precision for training (2 in bf16, 2 in fp32 runs): within each seed" in text
    assert "Training in bf16 and fp32: median of all seeds' medians" in text


def test_one_seed_gives_a_report_without_verdicts(study: Any) -> None:
    outcome = Outcome(done=[run for run in study.plan.runs if run.seed == 0])
    assert "se: too few runs. A comparison needs two seeds or more." in write_report(study.plan, outcome)
    assert "too few runs" in (study.plan.folder / "report.html").read_text()
    assert "latency.pdf" in (study.plan.folder / "report.tex").read_text()
    assert "differences.pdf" not in (study.plan.folder / "report.tex").read_text()  # it would be empty
    assert "difference of AP to the baseline" not in (study.plan.folder / "report.html").read_text()


def test_flags_of_one_variant_are_said(make: Callable[..., Plan], finish_run: Callable[..., None]) -> None:
    variants = {"se": "SE@neck.P3", "cbam": "CBAM@neck.P3", "fp32": {"train": {"amp": "off"}}}
    plan = make(variants=variants, controls=None, seeds=1)
    for run in plan.runs:
        finish_run(plan, run, 2.0)
    write_report(plan, Outcome(done=plan.runs))
    text = (plan.folder / "report.md").read_text()
    assert "\nfp32 is trained with --amp off.\n" in text
    assert text.count(" --amp off --project ") == 1  # of the recipe's commands
    assert "fp32 is trained with --amp off." in (plan.folder / "report.html").read_text()


def test_flags_are_words_without_paths_of_this_machine(root: Path) -> None:
    assert flags_text({"hyp": str(root / "cfg" / "hyp" / "v5-low.yaml"), "rect": False}) == (
        "--hyp cfg/hyp/v5-low.yaml, without --rect"
    )
    assert flags_text({"rect": False}) == "without --rect"


def test_the_recipe_has_no_path_of_this_machine(study: Any) -> None:
    text = recipe(study.plan)
    assert str(study.plan.folder.parents[1]) not in text
    assert 'train.py --weights "" --cfg ' in text


def test_small_sums() -> None:
    assert (points(0.123), points(-0.004, True), points(float("nan"))) == ("12.3", "-0.4", "–")
    assert (shade(0), shade(1), shade(-1), shade(7)) == ("#ffffff", "#5b9bd5", "#ed8b44", "#5b9bd5")
    assert mean([1, 2, 6]) == 3
    assert deviation([1, 3]) == pytest.approx(2**0.5)


def test_the_pareto_line_keeps_what_nothing_beats() -> None:
    places = [(3.0, 5.0), (1.0, 1.0), (2.0, 4.0), (2.5, 3.0), (4.0, 5.0), (2.0, 2.0)]
    assert pareto_line(places) == [(1.0, 1.0), (2.0, 4.0), (3.0, 5.0)]


def test_images_of_both_directions_are_chosen() -> None:
    assert extremes(np.array([0, 3, -2, 1, -5, 0]), 3) == [1, 4, 3]
    assert extremes(np.array([0, 0]), 3) == []
    table = MatchTable(
        names=np.array(["a"]),
        image_ids=np.array(["0", "1", "2"]),
        image=np.array([0, 0, 1, 1]),
        category=np.zeros(4, int),
        score=np.array([0.9, 0.2, 0.8, 0.5]),
        rank=np.array([0, 1, 0, 1]),
        row=np.arange(4),
        state=np.array([[[RIGHT, RIGHT, WRONG, WRONG]]], np.uint8),
        truth=np.array([0, 1, -1, -1]),
        truth_image=np.array([0, 0]),
        truth_category=np.array([0, 0]),
        truth_counts=np.ones((1, 2), bool),
    )
    assert tallies(table).tolist() == [[1, 0, 0], [0, 2, 0]]


def test_latency_is_taken_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    calls: list[str] = []
    models = {name: (lambda x, name=name: calls.append(name)) for name in "abc"}
    times = interleaved(models, torch.zeros(1, 3, 8, 8), rounds=10)
    turns = ["".join(calls[3 * cost.WARM_UP :][i : i + 3]) for i in range(0, 30, 3)]
    assert all(sorted(turn) == list("abc") for turn in turns)
    assert len(set(turns)) > 1  # the order changes
    assert {name: len(values) for name, values in times.items()} == dict.fromkeys("abc", 10)


def test_the_paper_gets_tables_and_figures(study: Any) -> None:
    write_report(study.plan, study.outcome)
    folder = study.plan.folder
    text = (folder / "report.tex").read_text()
    assert text.count(r"\toprule") == text.count(r"\bottomrule") == text.count(r"\begin{table}") >= 2
    assert r"\caption{Verdicts, AP}" in text
    assert r"\caption{Cost}" in text
    assert re.search(r"^se & ", text, re.MULTILINE)
    assert r"sk\textasciitilde{}control" in text
    for file in ("differences.pdf", "latency.pdf"):
        assert f"figures/{file}" in text
        assert (folder / "figures" / file).read_bytes().startswith(b"%PDF")
    body = text.split(r"\begin{document}")[1]
    assert body.isascii() or all(letter.isalpha() for letter in body if not letter.isascii())


def test_what_tex_takes_for_commands_is_escaped() -> None:
    assert escaped("50 % of a_b & {c} \\ ≥ 2") == r"50 \% of a\_b \& \{c\} \textbackslash{} $\geq$ 2"
    table = Table("t", ("name", "AP"), ((Cell("a_b"), Cell("1.5", 1.5, "gain")), (Cell("c"), Cell("–"))))
    assert latex_table(table, "One & two").splitlines() == [
        r"\begin{table}[htbp]",
        r"\centering",
        r"\caption{One \& two}",
        r"\fitted{\begin{tabular}{lr}",
        r"\toprule",
        r"name & AP \\",
        r"\midrule",
        r"a\_b & \textbf{1.5} \\",
        r"c & -- \\",
        r"\bottomrule",
        r"\end{tabular}}",
        r"\end{table}",
    ]


def test_names_of_classes_do_not_break_the_markdown() -> None:
    cells = tuple(Cell(text) for text in ("a|b", "1", "2", "3", "4"))
    table = Table("classes", ("variant", "red|blue", "two\nlines", "<script>", "$5_$ __x__"), (cells,))
    head, line, row = table.markdown().splitlines()
    assert head == r"| variant | red\|blue | two lines | &lt;script> | \$5_\$ \_\_x\_\_ |"
    assert line.count("---") == 5
    assert row == r"| a\|b | 1 | 2 | 3 | 4 |"


def test_the_report_shows_the_spec_that_was_started(make: Callable[..., Plan], write_spec: Callable[..., Path]) -> None:
    plan = make(seeds=1)
    assert spec_text(plan) == plan.spec.file.read_text().strip()
    write_spec(seeds=7)  # while it runs
    assert "seeds: 1" in spec_text(plan)
    plan.spec.file.unlink()
    assert "seeds: 1" in spec_text(plan)


def test_a_kept_bootstrap_that_was_cut_short_is_computed_anew(study: Any) -> None:
    results = gather(study.plan, study.outcome.done)
    whole = analyse(results, "AP").bootstrap
    files = sorted((study.plan.runs[0].folder / "last").glob("bootstrap-*.npz"))
    assert files
    for content in (files[0].read_bytes()[:200], b""):
        files[0].write_bytes(content)
        assert analyse(results, "AP").bootstrap == whole


def test_a_metric_of_objects_that_are_not_there_is_said(study: Any, tmp_path: Path) -> None:
    """The tiny data set has no object of 96×96 pixels."""
    plan = replace(study.plan, spec=replace(study.plan.spec, metrics=("APl",), images=0), folder=tmp_path)
    text = write_report(plan, study.outcome)
    assert text.startswith("se: no object that APl counts. The images that measure hold none, so APl has no value;")
    assert "| se | no object that APl counts |" in (plan.folder / "report.md").read_text()


def test_a_file_that_is_gone_is_named(make: Callable[..., Plan], finish_run: Callable[..., None]) -> None:
    plan = make(seeds=1, controls=None)
    for run in plan.runs:
        finish_run(plan, run, 3.0)
    assert set(gather(plan, plan.runs).by_variant) == {"baseline", "se", "sk"}
    (plan.runs[1].folder / "train" / "results.csv").unlink()
    with pytest.raises(
        UsageError, match=r"seed0-.*its train/results\.csv is gone; put it back, or delete the folder to"
    ):
        gather(plan, plan.runs)
