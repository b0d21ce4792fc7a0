"""Write text and plain tables as LaTeX shows them."""

from collections.abc import Sequence

# What TeX takes for commands, and letters that its fonts have in formulas only.
_LETTERS = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": "$<$", ">": "$>$", "|": "$|$",
    "–": "--", "—": "---", "−": "$-$", "×": r"$\times$", "±": r"$\pm$", "≥": r"$\geq$", "≤": r"$\leq$",
    "∞": r"$\infty$",
    "→": r"$\rightarrow$", "·": r"$\cdot$", "Δ": r"$\Delta$", "σ": r"$\sigma$", "γ": r"$\gamma$", "²": "$^2$",
    "…": r"\ldots{}", "½": r"$\frac12$", "≈": r"$\approx$", "√": r"$\surd$",
}  # fmt: skip


def escaped(text: str) -> str:
    """Return a text as LaTeX shows it."""
    return "".join(_LETTERS.get(letter, letter) for letter in text)


def tabular(head: Sequence[str], rows: Sequence[Sequence[str]], words: int = 1) -> str:
    """Return a table in the style of booktabs, to be read with \\input; numbers stand at the right.

    Args:
        head: of the columns.
        rows: cells.
        words: how many columns, from the left, hold words.
    """
    lines = [rf"{' & '.join(map(escaped, line))} \\" for line in (head, *rows)]
    columns = "l" * words + "r" * (len(head) - words)
    return "\n".join(
        [
            "% needs \\usepackage{booktabs}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            lines[0],
            r"\midrule",
            *lines[1:],
            r"\bottomrule",
            r"\end{tabular}",
        ]
    )
