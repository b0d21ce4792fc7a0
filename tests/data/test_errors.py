"""How a tool says that the user's files are at fault: one line, exit code 2."""

from pathlib import Path

import pytest

from data.errors import DataError, guarded


def test_a_faulty_data_set_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def run() -> int:
        raise DataError("a.yaml: no names")

    assert guarded(run) == 2
    assert capsys.readouterr() == ("", "a.yaml: no names\n")


def test_a_file_that_the_system_refuses_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded(lambda: len((tmp_path / "missing").read_text())) == 2
    assert capsys.readouterr().err == f"{tmp_path / 'missing'}: cannot be read or written: No such file or directory\n"


def test_what_a_tool_returns_is_its_exit_code() -> None:
    assert guarded(lambda: 1) == 1
