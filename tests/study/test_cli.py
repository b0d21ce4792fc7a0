"""The command line of study.py: how it ends when it is told to."""

import os
import signal
import threading
from pathlib import Path

import pytest

from study import cli


def test_a_request_to_end_says_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def terminate(options: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        threading.Event().wait(60)  # the signal ends it

    monkeypatch.setattr(cli, "run_study", terminate)
    before = signal.getsignal(signal.SIGTERM)
    assert cli.main([str(tmp_path / "my study.yaml"), "--workers", "2"]) == 130
    first, second = capsys.readouterr().err.splitlines()
    assert first == "study.py: interrupted"
    assert second.endswith(f"run the same command again: python study.py '{tmp_path}/my study.yaml' --workers 2")
    assert signal.getsignal(signal.SIGTERM) == before


def test_flags_that_contradict_each_other_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["cfg/study/digits-quick.yaml", "--report", "--add-seeds", "2"]) == 2
    assert "--add-seeds trains more seeds, --report trains nothing" in capsys.readouterr().err
