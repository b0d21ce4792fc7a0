"""The report as one HTML file: no network, no library, readable on a telephone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from study.report.example_images import Trio

STYLE = """
:root { color-scheme: light; --ink: #1c1c1c; --soft: #5a5a5a; --line: #d9d9d9; --gain: #0072b2; --loss: #b34700; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1200px; padding: 1rem; color: var(--ink); background: #fff;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: .5rem 0; }
.answers { padding-left: 1.2rem; max-width: 80ch; } .answers li { margin: .5rem 0; }
dt { font-weight: 600; margin-top: .5rem; } dd { margin: 0; max-width: 72ch; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem; border-top: 1px solid var(--line); padding-top: 1rem; }
p { max-width: 72ch; }
.note, figcaption { color: var(--soft); font-size: .85rem; }
.warn { border-left: 4px solid #e69f00; padding: .2rem .8rem; margin: .4rem 0; background: #fff8e6; max-width: 72ch; }
.wide { overflow-x: auto; margin: .6rem 0;
  background: linear-gradient(to left, #fff 1.5rem, #fff0) right / 3rem 100% no-repeat local,
    linear-gradient(to left, #0003, #0000) right / .8rem 100% no-repeat scroll; }
table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .6rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
.cards td:nth-child(2), .cards td:nth-child(6) { white-space: normal; min-width: 10rem; text-align: left; }
tbody th { text-align: left; font-weight: 600; position: sticky; left: 0; background: #fff; }
thead th { vertical-align: bottom; padding: 0; }
thead th:first-child, .cards thead th:nth-child(2), .cards thead th:nth-child(6) { text-align: left; }
thead button { all: unset; cursor: pointer; padding: .35rem .6rem; font-weight: 600; display: block; width: 100%;
  text-align: inherit; white-space: normal; box-sizing: border-box; }
thead button:focus-visible { outline: 2px solid var(--gain); }
th[aria-sort=ascending] button::after { content: " \\25B2"; }
th[aria-sort=descending] button::after { content: " \\25BC"; }
.gain { color: var(--gain); font-weight: 700; } .loss { color: var(--loss); font-weight: 700; } .none { color: #444; }
figure { margin: .5rem 0; }
figure > svg { width: 100%; height: auto; max-width: 620px; display: block; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 480px), 1fr)); gap: 1rem; }
.trio { display: grid; grid-template-columns: repeat(3, minmax(220px, 1fr)); gap: .3rem; max-width: 920px;
  overflow-x: auto; }
.trio img { width: 100%; height: auto; display: block; } .trio span { font-size: .8rem; color: var(--soft); }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: #f6f6f6; padding: .8rem; font-size: .82rem;
  line-height: 1.4; }
details summary { cursor: pointer; margin: .4rem 0; }
@media (max-width: 600px) { body { padding: .7rem; font-size: 15px; } th, td { padding: .3rem .45rem; }
  h1 { font-size: 1.35rem; } .wide { margin-right: -.7rem; }
  .cards thead { display: none; }
  .cards { display: block; margin-right: .7rem; } .cards tbody { display: block; }
  .cards tr { display: block; border: 1px solid var(--line); border-radius: .4rem; margin: .6rem 0;
    padding: .4rem .6rem; }
  .cards th, .cards td:nth-child(n) { display: flex; justify-content: space-between; gap: 1rem; border: 0;
    padding: .15rem 0; white-space: normal; text-align: right; min-width: 0; }
  .cards tbody th { position: static; font-size: 1.05rem; }
  .cards td::before { content: attr(data-head); color: var(--soft); text-align: left; flex: 0 0 38%; }
  .cards td.missing:nth-child(n) { display: none; } }
"""

# A click on a head sorts by it: first falling, then rising; cells without a number stay at the end.
SCRIPT = """
"use strict";
for (const table of document.querySelectorAll("table")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") !== "descending";
    heads.forEach(other => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const value = row => { const cell = row.cells[column];
      return cell.dataset.sort === undefined ? cell.textContent : Number(cell.dataset.sort); };
    const rows = [...table.tBodies[0].rows];
    rows.sort((a, b) => {
      const x = value(a), y = value(b);
      if (typeof x !== typeof y) return typeof x === "number" ? -1 : 1;
      const order = typeof x === "number" ? x - y : x.localeCompare(y, undefined, {numeric: true});
      return down ? -order : order;
    });
    table.tBodies[0].append(...rows);
  }));
}
"""


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        title: heading; empty for none.
        html: content.
    """

    title: str
    html: str


def page(title: str, lead: Sequence[str], warnings: Sequence[str], sections: Sequence[Section]) -> str:
    """Put the page together.

    Args:
        title: of the study.
        lead: paragraphs under it.
        warnings: about the design.
        sections: in order.

    Returns:
        A whole HTML document that loads nothing.
    """
    head = "".join(f"<p>{escape(text)}</p>" for text in lead)
    head += "".join(f'<p class="warn">{escape(text)}</p>' for text in warnings)
    parts = "".join(
        f"<section>{f'<h2>{escape(part.title)}</h2>' if part.title else ''}{part.html}</section>" for part in sections
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        "style-src 'unsafe-inline'; script-src 'unsafe-inline'\">"
        f'<link rel="icon" href="data:,"><title>{escape(title)}</title><style>{STYLE}</style></head>'
        f"<body><h1>{escape(title)}</h1>{head}{parts}<script>{SCRIPT}</script></body></html>\n"
    )


def figure(svg: str, caption: str = "") -> str:
    """Wrap an SVG."""
    return f"<figure>{svg}{f'<figcaption>{escape(caption)}</figcaption>' if caption else ''}</figure>"


def figures(svgs: Sequence[str]) -> str:
    """Put plots side by side where there is room."""
    return side_by_side([figure(svg) for svg in svgs])


def side_by_side(parts: Sequence[str]) -> str:
    """Put parts side by side where there is room."""
    return f'<div class="figures">{"".join(parts)}</div>'


def note(text: str) -> str:
    """Show a remark."""
    return f'<p class="note">{escape(text)}</p>'


def listed(items: Sequence[str]) -> str:
    """Put items, each an li element, into a list."""
    return f'<ul class="answers">{"".join(items)}</ul>'


def terms(meanings: Mapping[str, str]) -> str:
    """Explain terms."""
    return f"<dl>{''.join(f'<dt>{escape(k)}</dt><dd>{escape(v)}</dd>' for k, v in meanings.items())}</dl>"


def preformatted(text: str) -> str:
    """Show text as it is."""
    return f"<pre>{escape(text)}</pre>"


def folded(summary: str, html: str, shown: bool = False) -> str:
    """Let the reader open and close content."""
    return f"<details{' open' if shown else ''}><summary>{escape(summary)}</summary>{html}</details>"


def trio_html(variant: str, trio: Trio) -> str:
    """Show truth, baseline and variant of one image."""
    cells = "".join(
        f'<div><span>{escape(label)}</span><img src="{address}" alt="{escape(label)}: {escape(trio.name)}"></div>'
        for label, address in zip(("truth", "baseline", variant), trio.images, strict=True)
    )
    text = f"{trio.name}: {trio.caption}"
    return f'<figure><div class="trio">{cells}</div><figcaption>{escape(text)}</figcaption></figure>'
