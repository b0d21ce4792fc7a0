"""Every word that a page asks for exists, in both languages."""

import re
from pathlib import Path

import pytest

from playground.texts import LANGUAGES, Texts, all_texts, preferred

COMPUTED = {"as_system", "dark", "light"}  # keys that are put together or looked up


def test_every_word_exists_in_both_languages(root: Path) -> None:
    assert all(len(entry) == len(LANGUAGES) and all(map(str.strip, entry)) for entry in all_texts().values())
    assert all(re.search(r"[\u4e00-\u9fff]", entry[1]) for key, entry in all_texts().items() if key != "other_language")
    for entry in all_texts().values():
        assert len({tuple(sorted(re.findall(r"{(\w+)}", text))) for text in entry}) == 1, entry


def test_the_pages_use_these_words_and_no_others(root: Path) -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in (root / "playground").rglob("*.py"))
    asked = set(re.findall(r'say\(\s*"(\w+)"', source))
    words = set(re.findall(r'"(\w+)"', source))
    computed = words | {f"{start}_{word}" for start in ("column", "is", "map") for word in words}
    assert asked <= set(all_texts())
    assert set(all_texts()) <= asked | computed


@pytest.mark.parametrize(
    ("header", "language"), [("", "en"), ("zh-CN,zh;q=0.9,en;q=0.8", "zh"), ("de, en;q=0.5", "en"), ("fr", "en")]
)
def test_the_browsers_language(header: str, language: str) -> None:
    assert preferred(header) == language
    assert Texts("xx").language == "en"
