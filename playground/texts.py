"""The words of the page, in English and Chinese."""

from functools import cache
from pathlib import Path

import yaml

FILE = Path(__file__).with_name("texts.yaml")
LANGUAGES = ("en", "zh")


@cache
def all_texts() -> dict[str, list[str]]:
    """Return key → text in each of LANGUAGES."""
    content: dict[str, list[str]] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return content


class Texts:
    """Give the words in one language.

    Args:
        language: one of LANGUAGES; another means English.
    """

    def __init__(self, language: str) -> None:
        self.language = language if language in LANGUAGES else LANGUAGES[0]

    def __call__(self, key: str, **values: object) -> str:
        """Return a text, with values filled in."""
        text = all_texts()[key][LANGUAGES.index(self.language)]
        return text.format(**values) if values else text


def preferred(header: str) -> str:
    """Return the language that a browser's Accept-Language asks for first, as far as it is one of ours."""
    for part in header.lower().split(",")[:20]:
        if part.strip()[:2] in LANGUAGES:
            return part.strip()[:2]
    return LANGUAGES[0]
