"""What a run writes while it trains."""

from pathlib import Path

import pytest

from data import files
from engine.training import run_state
from models.errors import CheckpointError


@pytest.mark.parametrize("windows", [True, False])
def test_a_table_that_excel_has_open_ends_no_training(windows, tmp_path, monkeypatch):
    said = []

    def held(draft, target):
        raise PermissionError(13, "Access is denied")

    path = tmp_path / "results.csv"
    run_state.write_table(path, [{"epoch": 1.0, "time": 2.5}])
    monkeypatch.setattr(files, "HOLDS_OPEN_FILES", windows)
    monkeypatch.setattr(files.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(Path, "replace", held)
    monkeypatch.setattr(run_state.LOGGER, "warning", said.append)
    rows = [{"epoch": 1.0, "time": 2.5}, {"epoch": 2.0, "time": 5.0}]
    if windows:
        run_state.write_table(path, rows)
        assert said == [f"{path}: another program has it open; close it there, and the next epoch writes all rows"]
    else:
        with pytest.raises(CheckpointError, match="cannot be written"):
            run_state.write_table(path, rows)
    assert path.read_text(encoding="utf-8") == "epoch,time\n1,2.5\n"
