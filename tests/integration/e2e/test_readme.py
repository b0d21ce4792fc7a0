"""Every command of the README and the documentation is run, as written, in a copy of the checkout."""

import re
import shlex
from pathlib import Path

import pytest

from data.digits import ensure
from tests.documents import ROOT, blocks
from tests.integration.checkout import copy_checkout, run, run_programs

# README.zh-CN.md has the same commands, which a test of its own checks.
PYTHON_PAGES = ("README.md", "README.zh-CN.md", "docs/python.md", "docs/tools.md")
PAGES = ("README.md", "docs/detection.md", "docs/data.md", "docs/metrics.md")
# Their commands train for long; here it is checked that the scripts understand them and that the files named exist.
LONG_PAGES = (
    "docs/placement.md",
    "docs/results.md",
    "docs/yolov7.md",
    "docs/study.md",
    "docs/training.md",
    "docs/start.md",
    "docs/own-data.md",
    "docs/choose.md",
    "docs/distributed.md",
    "docs/paper.md",
    "weights/README.md",
)
# Set up the environment, which CI does before any test runs; the demo, which test_demo.py runs; and labels from a
# model of the reader's, which tests/integration/slow/test_documents.py makes and joins.
ELSEWHERE = (
    "python3 -m venv",
    ".venv/bin/python -m pip",
    "make ",
    ".venv/bin/python examples/demo.py",
    "python detect.py --weights best.pt --source more-images",
    "python -m data.merge",
    "python train.py --weights best.pt --data joined",
)

pytestmark = pytest.mark.slow


def commands(page: str) -> list[str]:
    """Return the shell commands of a page."""
    lines = [line for language, text in blocks(page) if language in ("", "sh", "bash") for line in text.splitlines()]
    shell = [line.split("  #")[0].strip() for line in lines]
    return [line for line in shell if "python" in line.split(" ")[0] and not line.startswith(ELSEWHERE)]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout with what a user would bring: data, a video, official weights."""
    folder = tmp_path_factory.mktemp("checkout")
    copy_checkout(folder)
    ensure(folder / "datasets" / "digits")
    for page in PAGES:
        for language, text in blocks(page):
            name = re.match(r"#\s*([\w-]+\.(?:yaml|py))\b", text)
            if language in ("yaml", "python") and name:
                (folder / name[1]).write_text(text, encoding="utf-8")
    return folder


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("page", PAGES)
def test_commands_run_as_written(page: str, checkout: Path) -> None:
    for command in commands(page):
        if "bccd" not in command or (checkout.parent / "shared").exists():
            run(shlex.split(command), checkout)


@pytest.mark.parametrize("page", LONG_PAGES)
def test_long_commands_are_understood(page: str) -> None:
    from data import read_config
    from engine.cli import main
    from engine.training import hyperparameters
    from models import read_spec

    found = commands(page)
    assert found
    for command in found:
        script, *argv = shlex.split(command)[1:]
        if script not in ("train.py", "val.py", "detect.py", "export.py", "study.py"):
            continue
        if script == "study.py":
            assert (ROOT / next(word for word in argv if word.endswith(".yaml"))).is_file()
            continue
        options = vars(main.make_parser(script.removesuffix(".py")).parse_args(argv))
        if (ROOT / str(options.get("cfg"))).is_file():
            read_spec(ROOT / options["cfg"])
        if options.get("hyp"):
            hyperparameters.find(options["hyp"])
        if (ROOT / str(options.get("data"))).is_file():
            read_config(ROOT / options["data"])


@pytest.mark.parametrize("page", PYTHON_PAGES)
def test_python_examples_run(page: str, checkout: Path) -> None:
    run_programs(page, checkout)


def test_both_readmes_show_the_same_commands() -> None:
    assert commands("README.md") == commands("README.zh-CN.md")
    assert commands("README.md")
