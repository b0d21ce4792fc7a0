"""Study several data sets: an ordinary study of each, then one table of mechanism × data set, pooled."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from study.analysis.comparisons import Analysis
from study.analysis.intervals import Verdict
from study.analysis.pooled import Pooled, pool_variants
from study.plan.run import write_whole
from study.plan.study_spec import StudySpec
from study.report.comparison_table import MISSING, TONES, Cell, Table, points, span, verdict_text
from study.report.latex import latex_report
from study.report.templating import render

TABLE = "Mechanism and data set"


def each_set(spec: StudySpec) -> dict[str, StudySpec]:
    """Return the study of each data set, named after it, in a folder of its own below the study's."""
    names = [Path(data).stem or Path(data).name for data in spec.datasets]
    return {
        name: replace(spec, data=data, datasets=(), name=f"{spec.name}/{name}")
        for name, data in zip(names, spec.datasets, strict=True)
    }


def write_pooled_report(spec: StudySpec, folder: Path, analyses: Mapping[str, Analysis]) -> str:
    """Write report.html, report.md and report.tex over all data sets.

    Args:
        spec: of the whole study.
        folder: of the whole study; each data set's own report stands below it.
        analyses: data set → analysis of the metric that decides.

    Returns:
        What came out, a line for each variant, and where the report is.
    """
    pooled = pool_variants({name: analysis.baseline for name, analysis in analyses.items()})
    table, title = set_table(analyses, pooled), f"Study: {spec.name}, {len(analyses)} data sets"
    said = [_sentence(name, *value) for name, value in pooled.items()]
    missing = sorted({name for analysis in analyses.values() for name in analysis.baseline} - set(pooled))
    said += [f"{name}: not pooled, fewer than two data sets have a comparison of it." for name in missing]
    lead = [
        f"The same variants on {', '.join(analyses)}; each data set has a report of its own in the folder of its name. "
        "The pooled effect is the mean over data sets such as these (random effects; Hartung and Knapp's interval), "
        "corrected for the number of variants by Holm's method.",
        *said,
    ]
    page = render("pooled.html.jinja", title=title, lead=lead, table=table, sets=list(analyses))
    write_whole(folder / "report.html", f"{page}\n")
    links = ", ".join(f"[{name}]({name}/report.md)" for name in analyses)
    write_whole(folder / "report.md", "\n\n".join([f"# {title}", *lead, f"## {TABLE}", table.markdown(), links]) + "\n")
    write_whole(folder / "report.tex", latex_report(title, lead, {TABLE: table}, {}))
    return "\n".join([*said, f"report.html, report.md and report.tex in {folder}"])


def set_table(analyses: Mapping[str, Analysis], pooled: Mapping[str, tuple[Pooled, float, Verdict]]) -> Table:
    """Build the table of the effect of each variant on each data set, and over all of them."""
    metric = next(iter(analyses.values())).metric
    names = list(dict.fromkeys(name for analysis in analyses.values() for name in analysis.baseline))
    rows = []
    for name in names:
        cells = [Cell(name)]
        for analysis in analyses.values():
            comparison = analysis.baseline.get(name)
            if comparison is None:
                cells.append(Cell(MISSING))
                continue
            text = f"{points(comparison.interval.mean, True)} {span(comparison.corrected)}"
            what = comparison.verdict.value if comparison.verdict is not Verdict.UNLEARNED else verdict_text(comparison)
            cells.append(Cell(f"{text}: {what}", comparison.interval.mean, TONES[comparison.verdict]))
        rows.append((*cells, *_pooled_cells(pooled.get(name))))
    head = (
        "variant",
        *analyses,
        "pooled",
        "p (Holm)",
        "verdict over data sets",
        "sd between data sets",
        "I²",
        "p of Q",
    )
    note = (
        f"Differences of {metric} to the baseline in points. Of each data set: the interval of its verdict. Pooled: "
        "95 % interval of the mean over data sets. Heterogeneity: standard deviation of true effects between data sets "
        "(DerSimonian and Laird), share of the spread that is not chance (I²), p of Cochran's Q. With few data sets "
        "the pooled interval is wide, and heterogeneity is hardly known."
    )
    return Table("data-sets", head, tuple(rows), (note,))


def _pooled_cells(value: tuple[Pooled, float, Verdict] | None) -> list[Cell]:
    if value is None:
        return [Cell(MISSING)] * 6
    pooled, p, verdict = value
    return [
        Cell(f"{points(pooled.interval.mean, True)} {span(pooled.interval)}", pooled.interval.mean, TONES[verdict]),
        Cell(f"{p:.3f}", p),
        Cell(verdict.value, pooled.interval.mean, TONES[verdict]),
        Cell(points(pooled.tau), pooled.tau),
        Cell(f"{100 * pooled.i_squared:.0f} %", pooled.i_squared),
        Cell(f"{pooled.p_heterogeneity:.3f}", pooled.p_heterogeneity),
    ]


def _sentence(name: str, pooled: Pooled, p: float, verdict: Verdict) -> str:
    return (
        f"{name}: over {pooled.sets} data sets {verdict.value}: {points(pooled.interval.mean, True)} points "
        f"{span(pooled.interval)}, p (Holm) {p:.3f}; between data sets the true effect varies by about "
        f"{points(pooled.tau)} points, one standard deviation (I² {100 * pooled.i_squared:.0f} %)."
    )
