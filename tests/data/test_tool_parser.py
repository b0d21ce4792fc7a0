"""What the tools say about a wrong command line."""

import io
import sys

import pytest

from data.tool_parser import ToolParser


def test_a_wrong_command_line_is_one_line_and_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    parser = ToolParser(prog="python -m tool")
    parser.add_argument("file")
    with pytest.raises(SystemExit) as left:
        parser.parse_args([])
    assert left.value.code == 2
    assert capsys.readouterr().err == (
        "error: the following arguments are required: file; `python -m tool --help` lists the flags\n"
    )


def test_a_pipe_that_lacks_a_character_gets_its_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """As PowerShell's on an English Windows."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="cp1252"))
    with pytest.raises(SystemExit) as left:
        ToolParser(prog="python -m tool", description="neck → head").parse_args(["--help"])
    assert left.value.code == 0
    sys.stdout.write("P3 → P4, ½")
    sys.stdout.flush()
    assert b"neck \\u2192 head" in raw.getvalue()
    assert raw.getvalue().endswith(b"P3 \\u2192 P4, \xbd")


@pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")
@pytest.mark.parametrize("tool", ["models.spec", "models.lint", "models.adopt", "data.doctor", "data.convert"])
def test_each_tool_says_it_in_one_line(
    tool: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import runpy

    monkeypatch.setattr(sys, "argv", [tool])
    with pytest.raises(SystemExit) as left:
        runpy.run_module(tool if tool == "data.convert" else f"{tool}.__main__", run_name="__main__")
    assert left.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
