"""How the project is installed: what the pages, the Makefile and the oldest supported packages have in common."""

import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from scripts.oldest_requirements import constraints

PAGES = ("README.md", "README.zh-CN.md", "docs/install.md", "docs/install.zh.md")


def install_lines(root: Path, page: str) -> list[str]:
    """The pip commands of a page, in blocks of code and in tables."""
    text = (root / page).read_text(encoding="utf-8")
    return re.findall(r"(?:^|`)(\S*python3? -m pip install [^`\n]+?)(?:  #[^\n]*)?(?=`|$)", text, re.MULTILINE)


def required(root: Path) -> dict[str, Requirement]:
    lines = (root / "requirements.txt").read_text(encoding="utf-8").splitlines()
    found = [Requirement(line.split("#")[0].strip()) for line in lines if line.split("#")[0].strip()]
    return {requirement.name: requirement for requirement in found}


@pytest.mark.parametrize("page", PAGES)
def test_install_lines_name_files_that_exist_and_releases_that_are_admitted(root, page):
    lines = install_lines(root, page)
    assert lines
    for line in lines:
        words = line.split()[4:]
        for flag, value in pairwise(words):
            if flag in ("-r", "-c"):
                assert (root / value).is_file(), line
            if flag in ("-i", "-f", "--index-url"):
                assert value.startswith("https://"), line
        packages = [
            w for i, w in enumerate(words) if not w.startswith("-") and not (i and words[i - 1].startswith("-"))
        ]
        for package in map(Requirement, packages):
            exact = re.findall(r"==([\d.]+)", str(package.specifier))
            assert all(version in required(root)[package.name].specifier for version in exact), line
        # A bare name would take whatever is newest: the project's own range has to hold it, or a release.
        bare = "torch" in words and "-c" not in words
        assert not bare, line


def test_both_languages_have_the_same_lines(root):
    assert set(install_lines(root, "README.md")) == set(install_lines(root, "README.zh-CN.md"))
    assert set(install_lines(root, "docs/install.md")) == set(install_lines(root, "docs/install.zh.md"))


def test_the_makefile_installs_as_the_pages_say(root):
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    written = "torch torchvision -c requirements.txt --index-url https://download.pytorch.org/whl/"
    assert f"{written}$(TORCH)" in makefile
    named = re.search(r"TORCH=([\w, ]+) takes", makefile)[1].split(", ")
    for name in named:
        assert any(line.endswith(f"{written}{name}") for line in install_lines(root, "docs/install.md")), name


def test_the_oldest_packages_are_the_lower_bounds(root):
    text = "torch>=2.6,<2.16\n# scipy>=9\nultralytics==8.4.190  # exact\nray>=2.40; python_version < '3.14'  # why\n"
    assert constraints(text) == ["torch==2.6.*", "ray==2.40.*; python_version < '3.14'"]
    done = subprocess.run(
        [sys.executable, root / "scripts" / "oldest_requirements.py"], capture_output=True, text=True, check=True
    )
    oldest = [Requirement(line) for line in done.stdout.splitlines()]
    assert {r.name for r in oldest} == required(root).keys() - {"ultralytics"}
    assert {"torch==2.6.*", "torchvision==0.21.*"} <= set(done.stdout.splitlines())


def test_python_files_ask_for_a_release_of_torch_in_one_place_only(root):
    """Whatever an old release lacks stands in attention/older_torch.py."""
    asking = re.compile(r"hasattr\(torch\b|torch\.__version__\s*[<>=]|TORCH_\d")
    packages = ("attention", "models", "engine", "data", "metrics", "study")
    found = {
        str(path.relative_to(root))
        for package in packages
        for path in (root / package).rglob("*.py")
        if asking.search(path.read_text(encoding="utf-8"))
    }
    assert found <= {"attention/older_torch.py"}
