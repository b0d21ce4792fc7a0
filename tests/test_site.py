"""The documents: the same pages in both languages, each in the site's navigation, and links that lead somewhere."""

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from scripts.site_hooks import join_chinese_lines, on_page_markdown, without_outside_links

# Pages of one language: the glossary has both in one table.
ONE_LANGUAGE = {"glossary"}
# Pages that wait for their translation. A page that has one is taken out of this list; none may be added.
UNTRANSLATED: set[str] = set()


class _Loader(yaml.SafeLoader):
    """Read mkdocs.yml without constructing what its tags name."""


_Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda *_: None)


def pages(root: Path, chinese: bool) -> set[str]:
    found = (path.name.removesuffix(".md") for path in (root / "docs").glob("*.md"))
    return {name.removesuffix(".zh") for name in found if name.endswith(".zh") == chinese}


def navigated(entry) -> set[str]:
    """Files that a piece of the navigation names."""
    if isinstance(entry, str):
        return {entry}
    values = entry.values() if isinstance(entry, dict) else entry
    return set().union(*map(navigated, values))


def test_both_languages_have_the_same_pages(root):
    english, chinese = pages(root, chinese=False), pages(root, chinese=True)
    assert chinese <= english
    assert english - chinese == ONE_LANGUAGE | UNTRANSLATED


def test_the_navigation_names_every_page_and_translates_every_title(root):
    config = yaml.load((root / "mkdocs.yml").read_text(encoding="utf-8"), _Loader)
    files = navigated(config["nav"])
    assert {f"{name}.md" for name in pages(root, chinese=False)} == {f for f in files if "/" not in f}
    plugin = next(p["i18n"] for p in config["plugins"] if isinstance(p, dict) and "i18n" in p)
    translated = next(language for language in plugin["languages"] if language["locale"] == "zh")["nav_translations"]
    titles = set(re.findall(r"^ +- ([^:\n]+):", (root / "mkdocs.yml").read_text().split("\nnav:")[1], re.MULTILINE))
    assert titles == translated.keys()


def test_every_relative_link_of_every_page_leads_to_a_file(root):
    link = re.compile(r"(?<!\\)\]\(([^)\s#]+)(?:#[^)\s]*)?\)")
    fence = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
    for page in [*root.glob("*.md"), *(root / "docs").rglob("*.md")]:
        for target in link.findall(fence.sub("", page.read_text(encoding="utf-8"))):
            if not re.match(r"[a-z]+:", target):
                assert (page.parent / target).exists(), f"{page.relative_to(root)}: {target}"


def test_links_out_of_the_documents_become_text():
    text = "See [its page](../weights/README.md#a), [`cfg/a.yaml`](../../cfg/a.yaml), [data](../data.md).\n"
    assert without_outside_links(text, 0).startswith("See its page (`weights/README.md`), `cfg/a.yaml`, data")
    assert "[data](../data.md)" in without_outside_links(text, 1)
    fenced = "```\n[a](../b)\n```\n"
    assert without_outside_links(fenced, 0) == fenced


def test_the_link_to_the_other_language_is_left_to_the_sites_switch():
    class Page:
        class file:
            src_uri = "install.zh.md"

    assert on_page_markdown("# A\n\n[English](install.md)\n\nText\n", Page) == "# A\n\nText\n"


def test_chinese_lines_are_joined_where_a_browser_would_show_a_space():
    broken = "# 标题\n正文，\n接着\n写 a\n下一行\n\n- 条目\n  缩进\n- 条目\n\n```\n甲\n乙\n```\n"
    joined = "# 标题\n正文，接着写 a\n下一行\n\n- 条目\n  缩进\n- 条目\n\n```\n甲\n乙\n```\n"
    assert join_chinese_lines(broken) == joined


def test_diagrams_keep_the_size_of_their_text():
    class Page:
        class file:
            src_uri = "placement.md"

    text = on_page_markdown("```mermaid\nflowchart LR\n  a --> b\n```\n", Page)
    assert re.fullmatch(r"```mermaid\n%%\{init: .*\"useMaxWidth\": false.*\}%%\nflowchart LR\n  a --> b\n```\n", text)


@pytest.mark.skipif(find_spec("mkdocs") is None, reason="the site's tools are in requirements-docs.txt")
def test_the_site_is_built_without_a_warning(root, tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "install" / "index.html").is_file()
    assert "按机器安装" in (tmp_path / "zh" / "install" / "index.html").read_text(encoding="utf-8")
