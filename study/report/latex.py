"""Write tables and figures for a paper: report.tex with booktabs tables, and figures as PDF beside it."""

from collections.abc import Mapping, Sequence

from data.latex_text import escaped
from study.analysis.comparisons import Analysis
from study.plan.plan import Plan
from study.plan.variants import BASELINE, CONTROL
from study.report.comparison_table import MISSING, Cell, Table, points

LONG = 28  # letters of a cell from which on it is broken into lines
_HEAD = r"""% Compile with tectonic, xelatex or pdflatex; names in other than Latin letters want one of the first two.
\documentclass{article}
\usepackage[margin=2cm]{geometry}
\usepackage{iftex}
\ifPDFTeX\usepackage[utf8]{inputenc}\usepackage[T1]{fontenc}\else\usepackage{fontspec}\fi
\usepackage{booktabs}
\usepackage{graphicx}
\newcommand{\fitted}[1]{\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{#1}}
\begin{document}
"""


def latex_table(table: Table, caption: str) -> str:
    """Return a table in booktabs' style; numbers stand at the right, sentences are broken, wide ones scaled down."""
    columns = "l" + "".join(_column([row[k] for row in table.rows]) for k in range(1, len(table.head)))
    lines = [" & ".join(escaped(cell) for cell in table.head), *(_row(row) for row in table.rows)]
    body = "\n".join([rf"\begin{{tabular}}{{{columns}}}", r"\toprule", rf"{lines[0]} \\", r"\midrule"])
    body += "\n" + "\n".join(rf"{line} \\" for line in lines[1:]) + "\n\\bottomrule\n\\end{tabular}"
    notes = "".join(f"\n\n{{\\footnotesize {escaped(note)}}}" for note in table.notes)
    return (
        "\\begin{table}[htbp]\n\\centering\n"
        f"\\caption{{{escaped(caption)}}}\n\\fitted{{{body}}}{notes}\n\\end{{table}}\n"
    )


def _row(row: Sequence[Cell]) -> str:
    return " & ".join(rf"\textbf{{{escaped(c.text)}}}" if c.tone == "gain" else escaped(c.text) for c in row)


def _column(cells: Sequence[Cell]) -> str:
    """Return a column's form: numbers at the right, words at the left, sentences in lines of 4 cm."""
    if _numeric(cells):
        return "r"
    return r"p{4cm}" if max(len(cell.text) for cell in cells) > LONG else "l"


def _numeric(cells: Sequence[Cell]) -> bool:
    return all((cell.sort is not None and len(cell.text) < 24) or cell.text == MISSING for cell in cells)


def place_table(plan: Plan, analysis: Analysis) -> Table | None:
    """Return mean differences to the baseline by mechanism and place; None where no variant places attention."""
    cells: dict[str, dict[str, list[str]]] = {}
    places: dict[str, None] = {}
    for name, spec in plan.models.items():
        comparison = analysis.against_baseline(name)
        if name == BASELINE or name.endswith(CONTROL) or comparison is None:
            continue
        placed = [(layer.attention.module, layer.name.split("+")[0]) for layer in spec.layers if layer.attention]
        placed += [(i.attention.module, f"in {layer.name}") for layer in spec.layers for i in layer.inside]
        if not placed:
            continue
        mechanism = ", ".join(dict.fromkeys(module for module, _ in placed))
        place = ", ".join(dict.fromkeys(at for _, at in placed))
        places[place] = None
        cells.setdefault(mechanism, {}).setdefault(place, []).append(points(comparison.interval.mean, signed=True))
    if not cells:
        return None
    rows = tuple(
        (Cell(mechanism), *(Cell(" / ".join(by_place.get(place, [MISSING]))) for place in places))
        for mechanism, by_place in cells.items()
    )
    note = f"Mean difference of {analysis.metric} to the baseline in points; places are rows of the base."
    return Table("places", ("mechanism", *(f"after {place}" for place in places)), rows, (note,))


def latex_report(title: str, lead: Sequence[str], tables: Mapping[str, Table], figures: Mapping[str, str]) -> str:
    """Return the whole document.

    Args:
        title: of the study.
        lead: paragraphs at its beginning.
        tables: caption → table.
        figures: file in figures/ → caption.
    """
    parts = [_HEAD + rf"\section*{{{escaped(title)}}}", *map(escaped, lead)]
    parts += [latex_table(table, caption) for caption, table in tables.items()]
    parts += [
        "\\begin{figure}[htbp]\n\\centering\n"
        rf"\includegraphics[width=0.7\linewidth]{{figures/{file}}}"
        f"\n\\caption{{{escaped(caption)}}}\n\\end{{figure}}\n"
        for file, caption in figures.items()
    ]
    return "\n\n".join([*parts, "\\end{document}\n"])
