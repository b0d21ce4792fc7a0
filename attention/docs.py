"""`python -m attention.docs`: write docs/attention/*.md from the docstrings, notes.yaml there, and counted costs."""

import inspect
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from attention import ATTENTION
from attention.limits import LIMITS
from attention.registry import options
from attention.table import SIZES, measure

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "attention"
SECTIONS = ("Args", "Shape", "Raises", "Source")


def sections(name: str) -> dict[str, str]:
    """The docstring of a mechanism, cut at its headings.

    Args:
        name: canonical name.

    Returns:
        Heading → text; what comes before the first heading is under "".
    """
    text = inspect.getdoc(ATTENTION[name]) or ""
    parts = re.split(rf"^({'|'.join(SECTIONS)}):\n", text, flags=re.MULTILINE)
    bodies = [inspect.cleandoc(body) for body in parts[2::2]]
    return {"": parts[0].strip(), **dict(zip(parts[1::2], bodies, strict=True))}


def arguments(text: str) -> dict[str, str]:
    """Argument → what the docstring says of it, on one line.

    Args:
        text: the section Args.

    Returns:
        In the order written.
    """
    found = re.findall(r"^(\w+): (.*(?:\n +.*)*)", text, flags=re.MULTILINE)
    return {name: re.sub(r"\s+", " ", says) for name, says in found}


def diagram(flow: list[str]) -> str:
    """Chains of steps as a Mermaid flow chart.

    Args:
        flow: chains, "a > b > c"; equal names are one node.

    Returns:
        A fenced block.
    """
    nodes: dict[str, str] = {}
    edges = []
    for chain in flow:
        steps = [step.strip() for step in chain.split(" > ")]
        for step in steps:
            nodes.setdefault(step, f"n{len(nodes)}")
        edges += [f"  {nodes[a]} --> {nodes[b]}" for a, b in pairwise(steps)]
    lines = [f'  {key}["{label}"]' for label, key in nodes.items()]
    return "\n".join(["```mermaid", "flowchart LR", *lines, *dict.fromkeys(edges), "```"])


def one_line(text: str) -> str:
    """First sentence of a docstring, for a table.

    Args:
        text: the part before the headings.

    Returns:
        The sentence without its full stop.
    """
    return re.sub(r"\s+", " ", text.split("\n\n")[0]).rstrip(".")


def page(name: str, note: dict[str, Any], costs: list[list[str]]) -> str:
    """The page of one mechanism.

    Args:
        name: canonical name.
        note: its entry of notes.yaml.
        costs: rows of attention.table for the three sizes.

    Returns:
        Markdown.
    """
    doc = sections(name)
    says = arguments(doc["Args"])
    aliases = sorted(alias for alias, of in ATTENTION.aliases().items() if of == name)
    starts = getattr(ATTENTION[name](32), "starts_at_identity", False)
    rows = [f"| `{key}` | `{default!r}` | {says[key]} |" for key, default in options(name).items()]
    table = ["| option | default | meaning |", "|---|---|---|", *rows] if rows else ["None."]
    lines = [f"# {name}", ""]
    lines += [f"Also found as {', '.join(f'`{alias}`' for alias in aliases)}.", ""] if aliases else []
    lines += [doc[""], "", "## Structure", "", diagram(note["flow"]), "", "## When to use it", "", note["when"], ""]
    lines += [
        "It starts as the identity." if starts else "It does not start as the identity; `identity: true` wraps it."
    ]
    lines += ["", "## Options", "", *table, "", doc["Shape"], ""]
    lines += ["## Cost", "", "| C × H × W | parameters | MFLOPs | kept for training, in maps |", "|---|---:|---:|---:|"]
    lines += [f"| {c[1]} × {c[2].replace('×', ' × ')} | {c[3]} | {c[4]} | {c[5]} |" for c in costs]
    if name in LIMITS:
        lines += ["", "## Limits", "", *(f"- {what}: {why}." for what, why in LIMITS[name].items())]
    lines += ["", "## Known wrong copies", "", note["copies"], "", "## Source", "", doc["Source"], ""]
    return "\n".join(lines)


def index(costs: dict[str, list[list[str]]]) -> str:
    """The page that lists all mechanisms.

    Args:
        costs: name → rows of attention.table.

    Returns:
        Markdown.
    """
    c, side, _ = SIZES[1]
    lines = [
        "# Attention mechanisms",
        "",
        "Every one is `build_attention(NAME, channels, **options)`: a map goes in, a map of the same shape, dtype and",
        "memory format comes out. Each is checked in float64 against its authors' formula (tests/attention).",
        f"Cost at {c} × {side} × {side}; times on your machine: `python -m attention.table`. These pages are",
        "written by `python -m attention.docs` from the docstrings and [notes.yaml](notes.yaml).",
        "",
        "| mechanism | what it does | parameters | MFLOPs | kept, in maps | options |",
        "|---|---|---:|---:|---:|---|",
    ]
    for name, rows in costs.items():
        names = ", ".join(options(name)) or "–"
        cells = rows[1]
        lines.append(
            f"| [{name}]({name}.md) | {one_line(sections(name)[''])} | {cells[3]} | {cells[4]} | {cells[5]} | {names} |"
        )
    lines += ["", "## Limits", "", "What a mechanism cannot do; nothing else is left out of the tests.", ""]
    lines += ["| mechanism | property | reason |", "|---|---|---|"]
    lines += [f"| {name} | {what} | {why} |" for name, found in LIMITS.items() for what, why in found.items()]
    return "\n".join([*lines, ""])


def main() -> None:
    """Write the pages."""
    notes = yaml.safe_load((FOLDER / "notes.yaml").read_text(encoding="utf-8"))
    costs = {name: [measure(name, size, repeats=0) for size in SIZES] for name in ATTENTION.names()}
    for name, rows in costs.items():
        (FOLDER / f"{name}.md").write_text(page(name, notes[name], rows), encoding="utf-8")
    (FOLDER / "index.md").write_text(index(costs), encoding="utf-8")


if __name__ == "__main__":
    main()
