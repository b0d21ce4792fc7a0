"""Runs and studies: found, read, and deleted only where they may be."""

import os
from pathlib import Path

import pytest

from engine.errors import UsageError
from playground.access import Access
from playground.run_files import best, curves, delete, find, read_table, report_of, weights_on_disk

TABLE = "epoch, metrics/mAP50-95(B)\n1, 0.2\n2, 0.4\n3, 0.3\n4, "


@pytest.fixture
def run(access: Access) -> Path:
    """A run with three epochs, and a row that is being written."""
    folder = access.runs / "train" / "exp"
    (folder / "weights").mkdir(parents=True)
    (folder / "results.csv").write_text(TABLE)
    (folder / "weights" / "last.pt").touch()
    return folder


def test_runs_and_studies_are_found(access: Access, run: Path) -> None:
    (access.runs / "study" / "mine").mkdir(parents=True)
    (access.runs / "study" / "mine" / "report.html").write_text("<p>")
    found = {one.name: one for one in find(access)}
    assert found["train/exp"].resumable
    assert not found["train/exp"].is_study
    assert found["study/mine"].is_study
    assert {"docs/studies/bccd-yolov5n", "docs/studies/bccd-precision"} <= set(found)
    assert report_of(access, "study/mine").read_text() == "<p>"
    assert str(run / "weights" / "last.pt") in weights_on_disk(access)


def test_a_table_is_read_as_far_as_it_is_whole(run: Path) -> None:
    table = read_table(run)
    assert table["metrics/mAP50-95(B)"][:3] == [0.2, 0.4, 0.3]
    assert best(table) == [("metrics/mAP50-95(B)", 0.3, 0.4)]
    series = curves({"exp": table}, "metrics/mAP50-95(B)")["series"]
    assert series[0]["data"] == [[1, 0.2], [2, 0.4], [3, 0.3]]
    (run / "results.csv").write_bytes(bytes(range(256)))
    assert best(read_table(run)) == []
    assert read_table(run.parent) == {}


def test_deleting(access: Access, run: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "results.csv").write_text(TABLE)
    (access.runs / "link").symlink_to(elsewhere)
    for name in ("link", "", ".", "..", "train", "../elsewhere", str(elsewhere), "docs/studies/bccd-yolov5n", "x\0"):
        with pytest.raises(UsageError):
            delete(access, name)
    assert (elsewhere / "results.csv").exists()
    delete(access, "train/exp")
    assert not run.exists()
    assert run.parent.exists()


def test_pages_and_tables_that_are_links_or_pipes(access: Access, tmp_path: Path) -> None:
    (tmp_path / "secret.html").write_text("secret")
    (access.runs / "study").mkdir(parents=True)
    (access.runs / "study" / "report.html").symlink_to(tmp_path / "secret.html")
    with pytest.raises(UsageError, match="outside"):
        report_of(access, "study")
    os.mkfifo(access.runs / "study" / "results.csv")
    assert read_table(access.runs / "study") == {}  # and no wait for a writer


@pytest.mark.parametrize("name", ["train/exp", "../../etc/passwd", "", "docs/studies/../../LICENSE"])
def test_only_reports_are_served(access: Access, run: Path, name: str) -> None:
    with pytest.raises(UsageError):
        report_of(access, name)
