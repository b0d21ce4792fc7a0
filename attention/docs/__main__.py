"""`python -m attention.docs`: write docs/attention/*.md from the docstrings and what lies beside the pages.

notes.yaml and notes.zh.yaml hold what the docstrings do not say, costs.json what was measured;
`python -m benchmarks.attention_costs` measures the last one anew.
"""

import argparse
import inspect
import json
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from attention import ATTENTION
from attention.docs.chinese import INDEX as CHINESE_INDEX
from attention.docs.chinese import Chinese
from attention.docs.cost_table import COUNTED, SIZES, TIMED
from attention.docs.limits import LIMITS
from attention.registry import options

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "attention"
SECTIONS = ("Args", "Shape", "Raises", "Source")
INDEX = """# Attention mechanisms

Every one is `build_attention(NAME, channels, **options)`: a map goes in, a map of the same shape, dtype and memory
format comes out. Each is checked in float64 against its authors' formula (tests/attention). These pages are written by
`python -m attention.docs` from the docstrings, [notes.yaml](notes.yaml) and [costs.json](costs.json).

| mechanism | what it does | options |
|---|---|---|
{does}

## Cost

At {size}, one image; other sizes are on the pages, and `python -m models.costs` measures on your
machine.
*MFLOPs* are counted where PyTorch dispatches operations, two per multiply–add, matrix products included. *kept / map*
is what a training step keeps for its backward pass, in multiples of the map. Times are of inference, with
normalisations folded, the fastest of many calls. *fp32 / floor* is the ratio to the time of `x * 2`, one pass that
reads the map and writes another. ONNX Runtime and OpenVINO run in float32.

Measured on {machine}. How they compare with timm's and with the forms that articles print is
[a page of its own](../benchmarks/attention.md).

| mechanism | {columns} |
|---|{rule}
{costs}

## Limits

What a mechanism cannot do; nothing else is left out of the tests. All take any number of channels, export to ONNX
([operator sets 11 to 20](../benchmarks/opsets.md)), OpenVINO and TorchScript for any batch, height and width, and
compile without a graph break, but for these.

| mechanism | property | reason |
|---|---|---|
{limits}
"""


def sections(name: str) -> dict[str, str]:
    """Return the docstring of a mechanism, cut at its headings.

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
    """Map each argument to what the docstring says of it, on one line.

    Args:
        text: the section Args.

    Returns:
        In the order written.
    """
    found = re.findall(r"^(\w+): (.*(?:\n +.*)*)", text, flags=re.MULTILINE)
    return {name: re.sub(r"\s+", " ", says) for name, says in found}


def diagram(flow: list[str]) -> str:
    """Draw chains of steps as a Mermaid flow chart.

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
    """Return the first sentence of a docstring, for a table.

    Args:
        text: the part before the headings.

    Returns:
        The sentence without its full stop.
    """
    return re.sub(r"\s+", " ", text.split("\n\n")[0]).rstrip(".")


def page(name: str, note: dict[str, Any], costs: list[list[str]], chinese: Chinese | None = None) -> str:
    """Return the page of one mechanism.

    Args:
        name: canonical name.
        note: its entry of notes.yaml.
        costs: the cells of attention.docs.cost_table for the three sizes.
        chinese: says headings, tables and captions in Chinese; None leaves all in English.

    Returns:
        Markdown.
    """
    say: Callable[[str], str] = chinese or str
    doc = sections(name)
    says = arguments(doc["Args"])
    aliases = sorted(alias for alias, of in ATTENTION.aliases().items() if of == name)
    starts = getattr(ATTENTION[name](32), "starts_at_identity", False)
    rows = [f"| `{key}` | `{default!r}` | {say(says[key])} |" for key, default in options(name).items()]
    table = [say("| option | default | meaning |"), "|---|---|---|", *rows] if rows else [say("None.")]
    lines = [f"# {name}", ""]
    lines += [f"[English]({name}.md)", ""] if chinese else []
    names = ", ".join(f"`{alias}`" for alias in aliases)
    lines += [say("Also found as {}.").format(names), ""] if aliases else []
    first, rest = doc[""].replace("](", "]\\(").split("\n\n", 1)  # a bracket applied to its arguments is no link
    lines += [f"{chinese.does(name, first)}。" if chinese else f"{first} {note['how']}", "", rest, ""]
    lines += [say("## Structure"), "", diagram(note["flow"]), ""]
    lines += [say("## When to use it"), "", chinese.when(name, note["when"]) if chinese else note["when"], ""]
    lines += [
        say("It starts as the identity." if starts else "It does not start as the identity; `identity: true` wraps it.")
    ]
    lines += ["", say("## Options"), "", *table, "", say(doc["Shape"]), ""]
    lines += [say("## Cost"), "", f"| C × H × W | {' | '.join(map(say, (*COUNTED, *TIMED)))} |"]
    lines += [f"|---|{'---:|' * len(costs[0])}"]
    lines += [f"| {c} × {h} × {w} | {' | '.join(cells)} |" for (c, h, w), cells in zip(SIZES, costs, strict=True)]
    explained = "The [list of all](index.md#cost) says what the columns mean and on what machine they were measured."
    lines += ["", say(explained)]
    if name in LIMITS:
        lines += ["", say("## Limits"), "", *(f"- {what}: {say(why)}." for what, why in LIMITS[name].items())]
    copies = chinese.copies(name, note["copies"]) if chinese else note["copies"]
    lines += ["", say("## Known wrong copies"), "", copies, "", say("## Source"), "", doc["Source"], ""]
    return "\n".join(lines)


def index(costs: dict[str, list[list[str]]], machine: str, chinese: Chinese | None = None) -> str:
    """Return the page that lists all mechanisms.

    Args:
        costs: name → cells of attention.docs.cost_table for the three sizes.
        machine: what the times were measured on.
        chinese: says all of it in Chinese; None leaves it in English.

    Returns:
        Markdown.
    """
    say: Callable[[str], str] = chinese or str
    suffix = ".zh.md" if chinese else ".md"
    c, side, _ = SIZES[1]
    does = [
        f"| [{name}]({name}{suffix}) | {chinese.does(name, brief) if chinese else brief} "
        f"| {', '.join(options(name)) or '–'} |"
        for name in costs
        for brief in [one_line(sections(name)[""])]
    ]
    return (CHINESE_INDEX if chinese else INDEX).format(
        does="\n".join(does),
        size=f"{c} × {side} × {side}",
        machine=machine,
        columns=" | ".join(map(say, (*COUNTED, *TIMED))),
        rule="---:|" * len(COUNTED + TIMED),
        costs="\n".join(f"| [{name}]({name}{suffix}) | {' | '.join(rows[1])} |" for name, rows in costs.items()),
        limits="\n".join(
            f"| {name} | {what} | {say(why)} |" for name, found in LIMITS.items() for what, why in found.items()
        ),
    )


def main() -> None:
    """Write the pages; --help says so and writes nothing."""
    argparse.ArgumentParser(
        prog="python -m attention.docs",
        description="Write docs/attention/*.md from the docstrings, notes.yaml, notes.zh.yaml and costs.json.",
    ).parse_args()
    notes = yaml.safe_load((FOLDER / "notes.yaml").read_text(encoding="utf-8"))
    measured = json.loads((FOLDER / "costs.json").read_text(encoding="utf-8"))
    costs = {name: measured["costs"][name] for name in ATTENTION.names()}
    for chinese, suffix in ((None, ".md"), (Chinese(FOLDER), ".zh.md")):
        for name, rows in costs.items():
            (FOLDER / f"{name}{suffix}").write_text(page(name, notes[name], rows, chinese), encoding="utf-8")
        (FOLDER / f"index{suffix}").write_text(index(costs, measured["machine"], chinese), encoding="utf-8")


if __name__ == "__main__":
    main()
