"""Mend for the site what the documents can say only in a checkout: links to files that are not documents."""

import re
from collections.abc import Callable
from typing import Any

LINK = re.compile(r"\[([^\]\n]+)\]\(((?:\.\./)+[^)\s]+)\)")
OTHER_LANGUAGE = re.compile(r"^\[(?:中文|English)\]\([^)]*\)\n+", re.MULTILINE)  # the site has a switch for it
DIAGRAM = re.compile(r"^```mermaid\n", re.MULTILINE)
# As small as text may be, at its own size: a wide diagram scrolls on a phone, where it would shrink to a line of dots.
COMPACT = (
    '%%{init: {"themeVariables": {"fontSize": "13px"}, "flowchart": '
    '{"useMaxWidth": false, "rankSpacing": 22, "nodeSpacing": 20, "padding": 7}}}%%\n'
)
CJK = "\u3000-\u30ff\u4e00-\u9fff\uff00-\uffef"
BROKEN_LINE = re.compile(rf"^([^#\n].*[{CJK}])\n(?=[{CJK}])", re.MULTILINE)
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def without_outside_links(text: str, depth: int) -> str:
    """Write links that leave docs/ as their text with the path behind it; the site has no such page.

    Args:
        text: a document's Markdown.
        depth: how many folders below docs/ it lies.
    """

    def mend(match: re.Match[str]) -> str:
        label, target = match.groups()
        if target.count("../") <= depth:
            return match[0]
        path = target.replace("../", "").split("#")[0]
        return label if label.strip("`") == path else f"{label} (`{path}`)"

    return outside_fences(lambda part: LINK.sub(mend, part), text)


def outside_fences(change: Callable[[str], str], text: str) -> str:
    """Change a document's text, and leave its blocks of code as they are."""
    parts, end = [], 0
    for fence in FENCE.finditer(text):
        parts += [change(text[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, change(text[end:])])


def join_chinese_lines(text: str) -> str:
    """Join lines that break between two Chinese characters: browsers show a break as a space, which is wrong there."""

    def join(part: str) -> str:
        while (joined := BROKEN_LINE.sub(r"\1", part)) != part:
            part = joined
        return part

    return outside_fences(join, text)


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Give mkdocs a page with links that it can follow, whole lines of Chinese, compact diagrams (mkdocs calls it)."""
    text = without_outside_links(OTHER_LANGUAGE.sub("", markdown, count=1), page.file.src_uri.count("/"))
    return DIAGRAM.sub(lambda fence: fence[0] + COMPACT, join_chinese_lines(text))
