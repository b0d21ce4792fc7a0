"""The numbers of the committed studies: reports against their results.csv, documents against the reports."""

import re
from collections import defaultdict
from collections.abc import Hashable, Iterator
from pathlib import Path

import pytest

from benchmarks.scan_confirmed import measured
from data.folders import ROOT
from study.analysis.statistics import compare_with_baseline
from study.plan.variants import CONTROL
from study.report.comparison_table import points, span

STUDIES = sorted(path.parent for path in (ROOT / "docs" / "studies").glob("*/results.csv"))
EFFECT = re.compile(r"[+-]\d+\.\d \[[+-]\d+\.\d, [+-]\d+\.\d\]")
# A document calls them by their mechanism, a study by its variant.
ROWS = {"SE": "se", "ECA": "eca", "CBAM": "cbam", "SKAttention": "sk", "GAM": "gam", "CoordAtt": "coordatt"}
DOCUMENTS = [
    f"{name}{language}.md"
    for name, languages in (("README", ("", ".zh-CN")), ("docs/results", ("", ".zh")), ("docs/choose", ("", ".zh")))
    for language in languages
]


def rows_of(file: Path) -> Iterator[list[str]]:
    """Yield the cells of all rows of a document's tables, with a hyphen for the minus sign."""
    for line in file.read_text(encoding="utf-8").replace("−", "-").splitlines():
        if line.startswith("| "):
            yield [cell.strip() for cell in line.strip("| ").split("|")]


def effects_of(cells: list[str]) -> set[str]:
    return {found for cell in cells for found in EFFECT.findall(cell)}


@pytest.mark.parametrize("folder", STUDIES, ids=lambda folder: folder.name)
def test_the_report_says_what_its_results_say(folder):
    differences = measured(folder / "results.csv", "AP")
    zero: dict[Hashable, float] = dict.fromkeys((seed for of in differences.values() for seed in of), 0.0)
    compared = {}
    for controls in (False, True):  # each family is corrected by itself
        family = {name: dict(of) for name, of in differences.items() if name.endswith(CONTROL) == controls}
        compared |= compare_with_baseline(zero, family)
    shown = {cells[0]: cells for cells in reversed(list(rows_of(folder / "report.md"))) if len(cells) == 8}
    assert set(compared) <= set(shown)
    for name, comparison in compared.items():
        assert shown[name][1].startswith(comparison.verdict.value), name
        expected = f"{points(comparison.interval.mean, True)} {span(comparison.corrected)}"
        assert effects_of(shown[name][2:3]) == effects_of([expected]), name


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_says_what_the_reports_say(name):
    reported: dict[str, set[str]] = defaultdict(set)
    for file in (ROOT / "docs" / "studies").glob("*/report.md"):
        for cells in rows_of(file):
            reported[cells[0]] |= effects_of(cells)
    for cells in rows_of(ROOT / name):
        variant = ROWS.get(cells[0].split(",")[0])
        if variant is not None and ", its own start" not in cells[0]:
            assert effects_of(cells) <= reported[variant], cells
