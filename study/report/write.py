"""Write results.csv, report.md, report.html and a copy of the spec: what a study leaves behind to pass on."""

import csv
import io
import math
import re
from pathlib import Path
from typing import Any

from study.analysis.comparisons import Analysis, analyse, looks_of
from study.analysis.intervals import Verdict
from study.analysis.mixed_precision import mixed_precision
from study.analysis.results import WHICH, Results, gather
from study.analysis.statistics import Comparison
from study.execute.cost import Cost, disturbed, measure_costs
from study.execute.local import Outcome, log_tail
from study.plan.plan import Plan
from study.plan.run import write_whole
from study.plan.starts import changed_starts
from study.plan.study_spec import METRICS
from study.plan.variants import BASELINE
from study.report.comparison_table import Table, ordered, verdict_table
from study.report.detail_tables import (
    class_table,
    comparison_table,
    control_table,
    cost_table,
    design_table,
    error_table,
    looks_table,
    runs_table,
    size_table,
    spread_table,
)
from study.report.example_images import trios, variants_to_show
from study.report.html_page import Page, Plot
from study.report.latex import latex_report, place_table
from study.report.plots import errors, forest, learning_curves, pareto
from study.report.reproduce import flags_text, recipe, spec_text
from study.report.verdict_text import TERMS, Answer, answers

FOREST, PARETO = "differences.pdf", "latency.pdf"  # in figures/


def write_report(plan: Plan, outcome: Outcome, device: str = "cpu") -> str:
    """Write the report of the runs that are done.

    Args:
        plan: of the study.
        outcome: of its runs.
        device: for the latency.

    Returns:
        The verdicts in short, and where the report is.

    Raises:
        OSError: if it cannot be written, or an image of the data cannot be read any more.
    """
    results = gather(plan, outcome.done)
    models = {name: plan.models[name] for name in plan.models if name in results.by_variant or name == BASELINE}
    rounds, size = plan.spec.latency, plan.options["imgsz"]
    costs, setting = measure_costs(models, size, rounds, device, plan.folder / "cost.json")
    complete = len(outcome.done) + len(outcome.failed) == len(plan.runs)
    analyses = [
        analyse(results, metric, which, which == "last", looks_of(plan.spec), complete)
        for metric in plan.spec.metrics
        for which in WHICH
    ]
    main = analyses[0]
    warnings = [*_unlearned(main), *plan.warnings, *_shortfalls(plan, results, outcome, costs)]
    changed = changed_starts(plan)
    said = answers(results, main, costs, changed)
    write_whole(plan.folder / "study.yaml", spec_text(plan) + "\n")
    write_whole(plan.folder / "results.csv", results_csv(results, costs))
    tables = _tables(results, analyses, costs, setting, changed)
    write_whole(plan.folder / "report.md", _markdown(plan, results, said, warnings, tables))
    write_whole(plan.folder / "report.html", _page(plan, results, main, costs, said, warnings, tables, outcome).html())
    write_whole(plan.folder / "report.tex", _latex(plan, results, main, tables))
    lines = [f"{answer.name}: {answer.verdict}. {answer.text}" for answer in said]
    return "\n".join([*lines, f"report.html, report.md, report.tex and results.csv in {plan.folder}"])


def _latex(plan: Plan, results: Results, main: Analysis, tables: dict[str, list[Table]]) -> str:
    """Return the tables and figures that a paper wants."""
    by_place = place_table(plan, main)
    wanted = {
        f"Verdicts, {main.metric}": tables["Verdict"][0],
        **({"Mechanism and place": by_place} if by_place else {}),
        "Cost": tables["Cost"][0],
    }
    figures = {PARETO: f"{main.metric} against latency. Dashed: what no other variant beats in both."}
    if _compared(results, main):
        lines = "Thin: interval of the verdict; thick: 95 %; strokes: seeds."
        figures = {FOREST: f"Difference of {main.metric} to the baseline. {lines}", **figures}
    return latex_report(f"Study: {plan.spec.name}", _lead(plan, results), wanted, figures)


def results_csv(results: Results, costs: dict[str, Cost]) -> str:
    """Return a row for every run: COCO's twelve numbers of the last and the best epoch, and what the run took."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    measured = [f"{metric}_{which}" for which in WHICH for metric in METRICS]
    took = ["epoch_seconds", "memory_mib", "threads"]
    rows.writerow(["variant", "seed", "epochs", "best_epoch", "parameters", "flops", *measured, *took, "key"])
    for name in ordered(results):
        for seed, result in results.by_variant[name].items():
            values = [_plain(result.value(metric, which)) for which in WHICH for metric in METRICS]
            trained = result.trained
            rows.writerow(
                [
                    *(name, seed, result.run.epochs, result.best_epoch, costs[name].parameters, costs[name].flops),
                    *values,
                    *(f"{result.epoch_seconds:.3f}", f"{trained.get('memory_mib', 0):.0f}", trained["threads"]),
                    result.run.key[:16],
                ]
            )
    return text.getvalue()


def _plain(value: float) -> str:
    return f"{value:.6f}" if math.isfinite(value) else ""


def _unlearned(analysis: Analysis) -> list[str]:
    """Return the first thing to know of a study whose models learned nothing."""
    compared = list(analysis.baseline.values())
    if not compared or any(comparison.verdict is not Verdict.UNLEARNED for comparison in compared):
        return []
    return [f"{Verdict.UNLEARNED.value.capitalize()}: no verdict can be given."]


def _shortfalls(plan: Plan, results: Results, outcome: Outcome, costs: dict[str, Cost]) -> list[str]:
    """Return what is missing in this report."""
    shortfalls = [f"{run.label} failed: {error}" for run, error in outcome.failed.items()]
    open_runs = len(plan.runs) - len(outcome.done) - len(outcome.failed)
    if open_runs:
        shortfalls.append(f"{open_runs} of {len(plan.runs)} runs are still to do: this report is preliminary.")
    if len(set(plan.epochs.values())) > 1:
        shortfalls.append("The budget is time: faster variants were trained for more epochs.")
    threads = {run.trained.get("threads") for runs in results.by_variant.values() for run in runs.values()}
    if len(threads) > 1:
        shortfalls.append("Runs had different numbers of threads: compare times and memory with care.")
    mixed = mixed_precision(results)
    if mixed:
        shortfalls.append(mixed)
    if disturbed(costs[BASELINE]):
        shortfalls.append(
            "The machine was busy while latency was timed: take it with care. The next report times it anew."
        )
    return shortfalls


def _tables(
    results: Results,
    analyses: list[Analysis],
    costs: dict[str, Cost],
    setting: dict[str, Any],
    changed: dict[str, tuple[str, ...]],
) -> dict[str, list[Table]]:
    """Return title → tables, the verdict first."""
    first = analyses[0]
    more = [table for table in (looks_table(results.plan.spec), control_table(results)) if table]
    return {
        "Verdict": [verdict_table(results, first, costs, changed)],
        "Every comparison": [spread_table(results), *map(comparison_table, [results] * len(analyses), analyses)],
        "Where it gains and loses": [size_table(results, "last"), class_table(results, "last")],
        "Kinds of error": [error_table(results, "last")],
        "Cost": [cost_table(results, costs, setting)],
        "Design": [design_table(first), *more],
        "Every run": [runs_table(results)],
    }


def _lead(plan: Plan, results: Results) -> list[str]:
    done = sum(map(len, results.by_variant.values()))
    epochs = sorted(set(plan.epochs.values()))
    length = f"{epochs[0]}" if len(epochs) == 1 else f"{epochs[0]} to {epochs[-1]}"
    length += " epoch" if length == "1" else " epochs"
    start = f"from {plan.weights.name}" if plan.weights else "from scratch"
    return [
        f"{len(results.by_variant)} models × {len(plan.spec.seeds)} seeds ({done} runs), {length} each at "
        f"{plan.options['imgsz']} px on {Path(plan.spec.data).stem}, {start}. Runs of one seed share initial values, "
        "order of data and augmentation, so differences are taken seed by seed.",
        *(
            f"{variant.name} is trained with {flags_text(variant.train)}."
            for variant in plan.spec.variants
            if variant.train
        ),
    ]


def _markdown(
    plan: Plan, results: Results, said: list[Answer], warnings: list[str], tables: dict[str, list[Table]]
) -> str:
    parts = [f"# Study: {plan.spec.name}\n", *(f"{text}\n" for text in _lead(plan, results))]
    parts += [f"> {text}\n" for text in warnings]
    parts += [answer.markdown() for answer in said]
    for title, group in tables.items():
        parts += [f"\n## {title}\n", *(table.markdown() for table in group)]
    parts += ["\n## Terms\n", *(f"- **{term}**: {text}" for term, text in TERMS.items())]
    spec = spec_text(plan)
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", spec)), default=0))  # longer than any in the text
    parts += ["\n## Recipe\n", f"```\n{recipe(plan)}\n```\n", f"{fence}yaml\n{spec}\n{fence}\n"]
    return "\n".join(parts)


def _page(
    plan: Plan,
    results: Results,
    main: Analysis,
    costs: dict[str, Cost],
    said: list[Answer],
    warnings: list[str],
    tables: dict[str, list[Table]],
    outcome: Outcome,
) -> Page:
    trios_of = {name: trios(results, name, plan.spec.images) for name in variants_to_show(results)}
    return Page(
        title=f"Study: {plan.spec.name}",
        lead=_lead(plan, results),
        warnings=warnings,
        answers=said,
        terms=TERMS,
        tables=tables,
        differences=_difference_plots(results, main, costs, plan.folder / "figures"),
        learning_curves=[Plot(svg) for svg in learning_curves(results)],
        errors=Plot(errors(results, "last")),
        trios={name: rows for name, rows in trios_of.items() if rows},
        logs={run.label: log_tail(run) for run in outcome.failed},
        recipe=recipe(plan),
        spec=spec_text(plan),
    )


def _compared(results: Results, main: Analysis) -> dict[str, Comparison]:
    """Return the comparisons with the baseline; none where every variant has too few runs."""
    return {name: comparison for name in ordered(results) if (comparison := main.against_baseline(name))}


def _difference_plots(results: Results, main: Analysis, costs: dict[str, Cost], figures: Path) -> list[Plot]:
    """Draw forest plots, and metric against latency; as PDF for a paper too."""
    compared = _compared(results, main)
    key = "Blue: gain; orange: loss; grey: no detectable effect. Dots: mean. Thin: interval from which the verdict is "
    key += "read; thick: interval of this variant alone (95 %). Strokes: seeds."
    plots = []
    if compared:
        label = f"difference of {main.metric} to the baseline, points"
        plots.append(Plot(forest(compared, label, figures / FOREST), key))
    if main.own:
        plots.append(Plot(forest(main.own, f"difference of {main.metric} to its own control, points")))
    line = "Dashed: what no other variant beats in both. Squares: controls. Bars: quartiles."
    plots.append(Plot(pareto(results, costs, main.metric, "last", figures / PARETO), line))
    return plots
