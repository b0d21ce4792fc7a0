"""Run folders."""

import os

import pytest

from engine.cli.run_folder import latest_checkpoint, run_folder
from engine.errors import UsageError


def test_runs_are_numbered_as_in_yolov5(tmp_path):
    names = [run_folder(str(tmp_path), "exp", False).name for _ in range(3)]
    assert names == ["exp", "exp2", "exp3"]
    assert run_folder(str(tmp_path), "exp2", True).name == "exp2"


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        run_folder(str(tmp_path / "file"), "exp", False)


def test_the_latest_run_is_found_by_time(tmp_path):
    for age, name in enumerate(("b", "a")):
        weights = tmp_path / name / "weights"
        weights.mkdir(parents=True)
        (weights / "last.pt").write_text("")
        os.utime(weights / "last.pt", (1000 - age, 1000 - age))
    assert latest_checkpoint(str(tmp_path)) == tmp_path / "b" / "weights" / "last.pt"


def test_no_run_to_continue(tmp_path):
    with pytest.raises(UsageError, match=r"no last\.pt below"):
        latest_checkpoint(str(tmp_path))
