"""Runs and studies on disk: find them, read their tables, delete them."""

import csv
import math
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from data.folders import ROOT
from playground.access import Access
from playground.errors import PageError

TABLE, REPORT = "results.csv", "report.html"
MOST = 500  # runs that are listed
DEPTH = 5  # folders below the folder of runs
ROWS = 20_000  # of a table
STUDIES = ROOT / "docs" / "studies"  # that come with the project
SHOWN = ("metrics/mAP50-95(B)", "metrics/mAP50(B)", "metrics/precision(B)", "metrics/recall(B)")


@dataclass(frozen=True)
class RunFolder:
    """A run or study.

    Attributes:
        path: its folder.
        name: its path below the folder of runs.
        is_study: whether it has a report.
    """

    path: Path
    name: str
    is_study: bool

    @property
    def resumable(self) -> bool:
        """Whether there is a checkpoint to go on from."""
        return (self.path / "weights" / "last.pt").is_file()


def find(access: Access) -> list[RunFolder]:
    """Return runs and studies, the newest first, then the studies that come with the project."""
    found = []
    for path in _folders(access.runs, 0):
        study = (path / REPORT).is_file()
        if study or (path / TABLE).is_file() or (path / "weights" / "last.pt").is_file():
            found.append((path.stat().st_mtime, RunFolder(path, path.relative_to(access.runs).as_posix(), study)))
    found.sort(key=lambda pair: -pair[0])
    shipped = [
        RunFolder(p, f"docs/studies/{p.name}", True) for p in sorted(STUDIES.glob("*")) if (p / REPORT).is_file()
    ]
    return [run for _, run in found[:MOST]] + shipped


def _folders(folder: Path, depth: int) -> Iterator[Path]:
    try:
        inside = [path for path in folder.iterdir() if path.is_dir() and not path.is_symlink()]
    except OSError:
        return
    for path in inside[: 4 * MOST]:
        yield path
        if depth < DEPTH:
            yield from _folders(path, depth + 1)


def read_table(path: Path) -> dict[str, list[float]]:
    """Return the columns of a run's results.csv; empty where there is none, rows that are cut short left out."""
    if not (path / TABLE).is_file():  # a pipe would be waited for
        return {}
    try:
        with (path / TABLE).open(encoding="utf-8", errors="replace", newline="") as file:
            rows = [row for _, row in zip(range(ROWS), csv.reader(file), strict=False)]
    except (OSError, csv.Error):
        return {}
    if not rows:
        return {}
    heads = [head.strip() for head in rows[0]]
    whole = [row for row in rows[1:] if len(row) == len(heads)]
    return {head: [_number(row[i]) for row in whole] for i, head in enumerate(heads)}


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def best(table: dict[str, list[float]]) -> list[tuple[str, float, float]]:
    """Return the shown metrics of a run with their last and best values."""
    found = []
    for name in SHOWN:
        values = [value for value in table.get(name, ()) if math.isfinite(value)]
        if values:
            found.append((name, values[-1], max(values)))
    return found


def report_of(access: Access, name: str) -> Path:
    """Return a study's page.

    Raises:
        UsageError: if there is no such study in the folders of runs and studies, or its page is a link to elsewhere.
    """
    path = _known(access, name, True).path / REPORT
    if not (access.allows(path) or path.resolve().is_relative_to(STUDIES)):
        raise PageError("outside", name=name[:200])
    return path


def delete(access: Access, name: str) -> None:
    """Remove a run or study for good.

    Raises:
        UsageError: if it is none that was found below the folder of runs.
    """
    run = _known(access, name, False)
    if run.path.is_relative_to(STUDIES) or not run.path.is_relative_to(access.runs) or run.path == access.runs:
        raise PageError("not_deleted", name=name)
    shutil.rmtree(run.path)


def _known(access: Access, name: str, study: bool) -> RunFolder:
    run = next((one for one in find(access) if one.name == name and (one.is_study or not study)), None)
    if run is None:
        raise PageError("no_study" if study else "no_run", name=repr(name[:200]))
    return run


def weights_on_disk(access: Access) -> list[str]:
    """Return the checkpoints of this project and of the runs, as paths."""
    own = [f"weights/{path.name}" for path in sorted((ROOT / "weights").glob("*.pt"))]
    runs = [run.path / "weights" / name for run in find(access) for name in ("best.pt", "last.pt")]
    return own + [str(path) for path in runs if path.is_file()]


def curves(tables: dict[str, dict[str, list[float]]], metric: str) -> dict[str, object]:
    """Return the options of a chart: one metric of several runs over the epochs.

    Args:
        tables: name of the run → its columns.
        metric: name of the column.
    """
    series = []
    for name, table in tables.items():
        pairs = zip(table.get("epoch", ()), table.get(metric, ()), strict=False)
        points = [[epoch, value] for epoch, value in pairs if math.isfinite(epoch) and math.isfinite(value)]
        series.append({"name": name, "type": "line", "data": points, "showSymbol": len(points) < 30})
    text = {"color": "#8a93a5"}
    return {
        "animation": False,
        "textStyle": text,
        "tooltip": {"trigger": "axis"},
        "legend": {"type": "scroll", "textStyle": text, "top": 0},
        "grid": {"left": 48, "right": 16, "top": 40, "bottom": 32},
        "xAxis": {"type": "value", "minInterval": 1, "scale": True, "axisLabel": text},
        "yAxis": {"type": "value", "scale": True, "axisLabel": text},
        "series": series,
    }
