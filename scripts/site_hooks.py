"""Mend for the site what the documents can say only in a checkout: links to files that are not documents."""

import re
from typing import Any

LINK = re.compile(r"\[([^\]\n]+)\]\(((?:\.\./)+[^)\s]+)\)")
OTHER_LANGUAGE = re.compile(r"^\[(?:中文|English)\]\([^)]*\)\n+", re.MULTILINE)  # the site has a switch for it
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

    parts, end = [], 0
    for fence in FENCE.finditer(text):
        parts += [LINK.sub(mend, text[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, LINK.sub(mend, text[end:])])


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Give mkdocs the text of a page whose links it can all follow (called by mkdocs)."""
    return without_outside_links(OTHER_LANGUAGE.sub("", markdown, count=1), page.file.src_uri.count("/"))
