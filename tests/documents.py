"""The documents' commands and snippets, for the tests that read and run them."""

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = tuple(
    str(path.relative_to(ROOT))
    for path in sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "weights" / "README.md"])
)
BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"(?<!`)`((?:\w+=\S+ )*(?:\.venv/bin/)?(?:python3?|torchrun|make) [^`\n]+)`")
# What the first word of a command is, when it is a program; other lines of such blocks show files or output.
PROGRAMS = re.compile(
    r"^(?:\$ )?(?:\w+=\S+ )*(?:\.venv/bin/|\.venv\\Scripts\\)?"
    r"(python3?|py|torchrun|make|docker|mlflow|hf|tensorboard|source|pip|activate)\b"
)


def blocks(page: str) -> list[tuple[str, str]]:
    """Return (language, text) of a page's blocks of code."""
    return BLOCK.findall((ROOT / page).read_text(encoding="utf-8"))


def commands(page: str) -> list[str]:
    """Return the commands in a page's blocks, without the comments behind them."""
    lines = [line for language, text in blocks(page) if language in ("", "sh", "bash") for line in text.splitlines()]
    found = [line.split("  #")[0].strip().removeprefix("$ ") for line in lines]
    return [line for line in found if PROGRAMS.match(line)]


def commands_in_text(page: str) -> list[str]:
    """Return the commands that stand in a page's sentences and tables."""
    text = BLOCK.sub("", (ROOT / page).read_text(encoding="utf-8"))
    return [found.replace("\\|", "|") for found in INLINE.findall(text)]


def words(command: str) -> list[str]:
    """Split a command as a shell does, without the variables that it sets and without an ellipsis."""
    found = shlex.split(command)
    while found and re.match(r"^[A-Z_]+=", found[0]):
        found = found[1:]
    return [word for word in found if word != "…"]


def snippet(page: str, name: str) -> str:
    """Return the block that begins with a comment naming the file that it is."""
    found = [text for _, text in blocks(page) if re.match(rf"#\s*{re.escape(name)}\b", text)]
    assert len(found) == 1, f"{page}: {len(found)} blocks are called {name}"
    return found[0]
