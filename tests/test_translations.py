"""The Chinese documents say what the English ones say: the same commands and snippets, headings, tables and links."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(path.name.removesuffix(".zh.md") for path in (ROOT / "docs").glob("*.zh.md"))
# Pages that are not translations line by line: other mirrors and habits; the API is in English, as docstrings are.
OF_THEIR_OWN = {"index", "install", "api"}
FENCE = re.compile(r"^ *```[^\n]*\n(.*?)^ *```", re.MULTILINE | re.DOTALL)


def read(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def snippets(text: str) -> list[list[str]]:
    """Return the fenced blocks' lines without their comments, which are translated."""
    blocks = [
        [re.sub(r"(^|\s+)#.*", "", line).rstrip() for line in block.splitlines()] for block in FENCE.findall(text)
    ]
    return [[line for line in block if line] for block in blocks]


def outline(text: str) -> list[str]:
    """Return what a page is made of: the level of each heading, and the number of columns of each row of a table."""
    plain = FENCE.sub("", text)
    return re.findall(r"^#+(?= )", plain, re.MULTILINE)


def rows(text: str) -> list[int]:
    cells = (line.replace(r"\|", "") for line in FENCE.sub("", text).splitlines() if line.startswith("|"))
    return [line.count("|") for line in cells]


def targets(text: str) -> set[str]:
    """Return the pages and images that a page links to, in whichever language."""
    found = re.findall(r"(?<!\\)\]\(([^)\s#]+)", FENCE.sub("", text))
    return {target.replace(".zh.", ".") for target in found if not re.match(r"[a-z]+:", target)}


@pytest.mark.parametrize("page", [page for page in PAGES if page not in OF_THEIR_OWN])
def test_a_translation_follows_its_page(page: str) -> None:
    english, chinese = read(f"{page}.md"), read(f"{page}.zh.md")
    assert snippets(chinese) == snippets(english)
    assert outline(chinese) == outline(english)
    assert rows(chinese) == rows(english)
    assert targets(chinese) - {f"{page}.md"} == targets(english)


def test_a_change_of_one_page_alone_is_noticed() -> None:
    before = "# A\n\n```\nrun --flag   # why\n```\n\n| a | b |\n|---|---|\n"
    assert snippets(before) == [["run --flag"]]
    assert snippets(before.replace("# why", "# 为什么")) == snippets(before)
    assert snippets(before.replace("--flag", "--other")) != snippets(before)
    assert rows(before) == [3, 3]
    assert outline(before + "## B\n") != outline(before)
