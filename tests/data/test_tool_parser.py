"""What the tools say about a wrong command line."""

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


@pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")
@pytest.mark.parametrize("tool", ["models.spec", "models.lint", "models.adopt", "data.doctor", "data.convert"])
def test_each_tool_says_it_in_one_line(
    tool: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import runpy
    import sys

    monkeypatch.setattr(sys, "argv", [tool])
    with pytest.raises(SystemExit) as left:
        runpy.run_module(tool if tool == "data.convert" else f"{tool}.__main__", run_name="__main__")
    assert left.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
