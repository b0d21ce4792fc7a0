"""Every command of every document is understood: its program is there, and takes these flags."""

import argparse
import re
import runpy
import sys

import pytest

from engine.cli.parser import Parser
from tests.documents import PAGES, ROOT, commands, commands_in_text, words

# Programs of others, which the pages name for what follows.
OTHERS = {"mlflow", "hf", "tensorboard", "source", "pip"}
# These parse what they are given at once, and take nothing: that they are there has to do.
ONLY_THERE = ("benchmarks.", "attention.docs")


class Understood(BaseException):
    """The flags were read; nothing is to be done with them."""


def _then_stop(read):
    def stop(parser, args=None, namespace=None):
        read(parser, args, namespace)
        raise Understood

    return stop


@pytest.fixture
def stop_after_the_flags(monkeypatch):
    for kind in (argparse.ArgumentParser, Parser):
        monkeypatch.setattr(kind, "parse_args", _then_stop(kind.parse_args))


def takes(script: str, argv: list[str], monkeypatch) -> None:
    """Start a script, or a module by "-m NAME", up to where it has read its flags."""
    monkeypatch.setattr(sys, "argv", [script.split()[-1], *argv])
    try:
        if script.startswith("-m "):
            runpy.run_module(script[3:], run_name="__main__")
        else:
            runpy.run_path(str(ROOT / script), run_name="__main__")
    except Understood:
        return
    except SystemExit as end:
        if end.code == 0 and {"--help", "-h"} & set(argv):
            return
        raise AssertionError(f"{script} does not take {argv}") from None
    raise AssertionError(f"{script} reads no flags")


def check_python(argv: list[str], monkeypatch) -> None:
    """Check what follows the word python."""
    first, rest = argv[0], argv[1:]
    if first == "-c":
        compile(rest[0], "-c", "exec")
    elif first == "-m" and rest[0] == "pytest":
        assert all((ROOT / path).exists() for path in rest[1:] if not path.startswith("-")), rest
    elif first == "-m" and rest[0] not in ("venv", "pip"):  # those are read by tests/test_install.py
        module = ROOT / rest[0].replace(".", "/")
        assert module.with_suffix(".py").exists() or (module / "__main__.py").exists(), rest[0]
        if len(rest) > 1 and not rest[0].startswith(ONLY_THERE):
            takes(f"-m {rest[0]}", rest[1:], monkeypatch)
    elif first != "-m":
        assert (ROOT / first).exists(), first
        if "/" not in first and rest:
            takes(first, rest, monkeypatch)


def check(command: str, monkeypatch) -> None:
    """Check a command.

    Raises:
        AssertionError: if its program is not there, or does not take its flags.
    """
    program, *argv = words(command)
    program = program.removeprefix(".venv/bin/")
    if program in ("python", "python3", "py"):
        check_python(argv, monkeypatch)
    elif program == "torchrun":
        if argv:
            takes("train.py", argv[argv.index("train.py") + 1 :], monkeypatch)
    elif program == "make":
        targets = [word for word in argv if "=" not in word]
        assert all(re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE) for target in targets)
    elif program == "docker":
        assert argv[0] in ("build", "run")
        if argv[0] == "build":
            assert (ROOT / (argv[argv.index("-f") + 1] if "-f" in argv else "Dockerfile")).is_file()
        elif "train.py" in argv:
            takes("train.py", argv[argv.index("train.py") + 1 :], monkeypatch)
    else:
        assert program in OTHERS or program.endswith("activate"), command


@pytest.mark.filterwarnings("ignore:.*found in sys.modules.*:RuntimeWarning")
@pytest.mark.parametrize("page", PAGES)
def test_commands_are_understood(page, monkeypatch, stop_after_the_flags):
    monkeypatch.chdir(ROOT)
    for command in dict.fromkeys([*commands(page), *commands_in_text(page)]):
        check(command, monkeypatch)


@pytest.mark.parametrize(
    "command",
    [
        "python train.py --epoch-count 3",
        "python -m data.doctor --fix",
        "python -m models.nothing",
        "python nothing.py",
        "make nothing",
        "nothing --at all",
    ],
)
@pytest.mark.filterwarnings("ignore:.*found in sys.modules.*:RuntimeWarning")
def test_a_command_that_is_wrong_is_noticed(command, monkeypatch, stop_after_the_flags):
    with pytest.raises((AssertionError, SystemExit)):
        check(command, monkeypatch)


def test_pages_of_both_languages_are_read():
    found = {page: len(commands(page)) for page in PAGES}
    assert found["docs/start.md"] == found["docs/start.zh.md"] == 11
    assert found["README.md"] == found["README.zh-CN.md"] > 8
    assert "SE@4" in " ".join(commands_in_text("docs/placement.md"))
