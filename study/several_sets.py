"""Study several data sets: an ordinary study of each, then one table of mechanism and data set, pooled."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote

from markupsafe import Markup

from engine.errors import UsageError
from study.analysis.alpha_spending import Look
from study.analysis.comparisons import Analysis, looks_of
from study.analysis.intervals import Verdict
from study.analysis.pooled import Pooled, pool_variants, takes_part
from study.analysis.statistics import Comparison
from study.plan.run import write_whole
from study.plan.spec_values import NAME
from study.plan.study_spec import StudySpec
from study.plan.variants import Variant
from study.report.comparison_table import MISSING, TONES, Cell, Table, points, span, verdict_text
from study.report.latex import latex_report
from study.report.plots import forest_of_sets
from study.report.templating import render

TABLE = "Mechanism and data set"
FIGURE = "data-sets.pdf"
CAPTION = "A circle and a line: one data set, with the interval of its verdict. Diamond: over the data sets, 95 %."


def each_set(spec: StudySpec) -> dict[str, StudySpec]:
    """Return the study of each data set, in a folder of its own below the study's; of one set the study itself."""
    if not spec.datasets:
        return {spec.name: spec}
    return {
        data_name(data): replace(spec, data=data, datasets=(), name=f"{spec.name}/{data_name(data)}")
        for data in spec.datasets
    }


def data_name(data: str) -> str:
    """Return what a data set is called, by its file."""
    return Path(data).stem or Path(data).name


def refuse_pool(specs: Sequence[StudySpec], name: str) -> None:
    """Raise an error where studies cannot stand in one table.

    Args:
        specs: of the studies.
        name: of the folder for what is pooled.

    Raises:
        UsageError: one line that says what to change.
    """
    if len(specs) < 2:
        raise UsageError(f"--pool {name}: takes two studies or more: study.py A.yaml B.yaml --pool {name}")
    if not NAME.fullmatch(name) or name in {spec.name for spec in specs}:
        raise UsageError(f"--pool {name}: expected a folder name that no study has, of letters, digits and . _+@-")
    seen: dict[str, StudySpec] = {}
    variants: dict[str, tuple[Variant, StudySpec]] = {}
    for spec in specs:
        if spec.datasets:
            raise UsageError(f"{spec.file}: has a list of data sets, which it pools itself; leave --pool out")
        other = seen.setdefault(data_name(spec.data), spec)
        if other is not spec:
            raise UsageError(
                f"{spec.file}: is on {spec.data} like {other.file}, and the same images twice are no second data set"
            )
        if spec.metrics[0] != specs[0].metrics[0]:
            raise UsageError(
                f"{spec.file}: compares {spec.metrics[0]} and {specs[0].file} {specs[0].metrics[0]}; "
                "write the same name first under metrics"
            )
        for variant in spec.variants[1:]:
            first, its = variants.setdefault(variant.name, (variant, spec))
            if (first.attention, first.cfg, first.identity) != (variant.attention, variant.cfg, variant.identity):
                raise UsageError(
                    f"{spec.file}: its {variant.name} is not that of {its.file}; call one of them otherwise"
                )


def write_pooled_report(
    parts: Mapping[str, StudySpec],
    folder: Path,
    analyses: Mapping[str, Analysis],
    waiting: Mapping[str, int] = MappingProxyType({}),
) -> str:
    """Write report.html, report.md and report.tex over several studies.

    Args:
        parts: name in the table → study, its looks known; each has a report in its own folder.
        folder: of the pooled report, made if it is not there.
        analyses: name → analysis of the metric that decides, of those that have one.
        waiting: name → runs that are still to do.

    Returns:
        What came out, a line for each variant, and where the report is.
    """
    looks = common_looks([parts[name] for name in analyses])
    by_set = {name: analysis.baseline for name, analysis in analyses.items()}
    pooled = pool_variants(by_set, looks=looks, complete=not any(waiting.values()))
    table, title = set_table(analyses, pooled), f"Study: {folder.name}, {len(analyses)} data sets"
    said = [_sentence(name, *value) for name, value in pooled.items()]
    missing = sorted({name for analysis in analyses.values() for name in analysis.baseline} - set(pooled))
    if missing:
        said.append(f"Not pooled, as fewer than two data sets have a comparison of it: {', '.join(missing)}.")
    if any(waiting.values()):
        still = ", ".join(f"{number} of {name}" for name, number in waiting.items() if number)
        said.append(f"Runs are still to do ({still}): this report is preliminary.")
    if looks:
        said.append(
            "These studies may grow, so each look has its own level: this one calls a p (Holm) up to "
            f"{looks[-1].alpha:.2g}, and what was called at one stays called."
        )
    what = "; ".join(f"{name}: {_what(parts[name])}" for name in analyses)
    lead = [
        f"{what}. Each has a report of its own. "
        "The pooled effect is the mean over data sets such as these (random effects; Hartung and Knapp's interval, or "
        "that of the spread over seeds where it is wider), corrected for the number of variants by Holm's method.",
        *said,
    ]
    # A list's data sets lie below the pooled report, studies beside it.
    home = {name: os.path.relpath(folder.parent / parts[name].name, folder).replace(os.sep, "/") for name in analyses}
    folder.mkdir(parents=True, exist_ok=True)
    figures = {FIGURE: CAPTION} if pooled else {}
    figure = _figure(analyses, pooled, folder / "figures" / FIGURE) if pooled else ""
    page = render("pooled.html.jinja", title=title, lead=lead, figure=figure, caption=CAPTION, table=table, sets=home)
    write_whole(folder / "report.html", f"{page}\n")
    links = ", ".join(f"[{name}]({quote(place)}/report.md)" for name, place in home.items())
    write_whole(folder / "report.md", "\n\n".join([f"# {title}", *lead, f"## {TABLE}", table.markdown(), links]) + "\n")
    write_whole(folder / "report.tex", latex_report(title, lead, {TABLE: table}, figures))
    return "\n".join([*said, f"report.html, report.md and report.tex in {folder}"])


def _figure(analyses: Mapping[str, Analysis], pooled: Mapping[str, tuple[Pooled, float, Verdict]], pdf: Path) -> Markup:
    """Plot what is pooled: of each data set only the comparisons that take part."""
    by_set = {
        name: {
            variant: comparison
            for variant, comparison in analysis.baseline.items()
            if variant in pooled and takes_part(comparison)
        }
        for name, analysis in analyses.items()
    }
    return forest_of_sets(
        {name: comparisons for name, comparisons in by_set.items() if comparisons},
        {name: (value.interval, verdict) for name, (value, _, verdict) in pooled.items()},
        f"difference of {next(iter(analyses.values())).metric} to the baseline, points",
        pdf,
    )


def common_looks(specs: Sequence[StudySpec]) -> list[Look]:
    """Return the looks of the pooled comparison: those of the studies, none where no study may grow.

    Where studies have looked at other numbers of seeds, what is pooled is judged once, at their strictest level.
    """
    each = [looks_of(spec) for spec in specs]
    if all(looks == each[0] for looks in each):
        return each[0]
    return [min((looks[-1] for looks in each if looks), key=lambda look: look.alpha)]


def _what(spec: StudySpec) -> str:
    """Say what a study trained on what."""
    model = spec.cfg or (Path(spec.weights).stem if spec.weights else "")
    budget = f"{spec.epochs} epochs" if spec.epochs else f"{spec.minutes:g} minutes"
    size = f" at {spec.train['imgsz']} px" if "imgsz" in spec.train else ""
    return f"{model} on {data_name(spec.data)}, {budget}{size}, {len(spec.seeds)} seeds"


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
            cells.append(
                Cell(f"{text}: {_verdict_there(comparison)}", comparison.interval.mean, TONES[comparison.verdict])
            )
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
        f"Differences of {metric} to the baseline in points. Of each data set the interval of its verdict, and after ≥ "
        "the least difference that 80 % of such studies would have seen. Pooled: 95 % interval of the mean over data "
        "sets. Heterogeneity: standard deviation of true effects between data sets (DerSimonian and Laird), share of "
        "the spread that is not chance (I²), p of Cochran's Q. With few data sets the pooled interval is wide, and "
        "heterogeneity is hardly known."
    )
    return Table("data-sets", head, tuple(rows), (note,))


def _verdict_there(comparison: Comparison) -> str:
    """Return the verdict of one data set, short: with the least effect that it would have seen."""
    if comparison.verdict is Verdict.NONE and not comparison.constant:
        return f"{Verdict.NONE.value} ≥ {points(comparison.detectable)}"
    return verdict_text(comparison)


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
