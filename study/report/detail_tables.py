"""Build the tables after the first: statistics in full, every run, costs, heat maps, design."""

import math
from collections.abc import Callable
from statistics import median

from metrics.tide import KINDS
from study.analysis.comparisons import Analysis, looks_of
from study.analysis.power import seeds_needed, smallest_detectable
from study.analysis.results import WHICH, Results
from study.analysis.statistics import Comparison
from study.execute.cost import Cost, added_latency, quartiles
from study.plan.study_spec import StudySpec
from study.plan.variants import BASELINE, CONTROL
from study.report.comparison_table import MISSING, TONES, Cell, Table, deviation, mean, number, ordered, points, span

SIZES = ("AP", "APs", "APm", "APl")
EFFECTS = (0.005, 0.01, 0.02)  # for which the number of seeds is said
FULL_SHADE = 0.05  # a difference that gets a heat map's full colour


def comparison_table(results: Results, analysis: Analysis) -> Table:
    """Build the statistics of every comparison of one metric at one checkpoint."""
    rows = []
    families = (("baseline", analysis.baseline), ("baseline", analysis.controls), ("its control", analysis.own))
    for against, comparisons in families:
        for name, comparison in comparisons.items():
            drawn = analysis.bootstrap.get(name, {}) if against == "baseline" else {}
            rows.append(
                (
                    Cell(name),
                    Cell(against),
                    Cell(comparison.verdict.value, comparison.interval.mean, TONES[comparison.verdict]),
                    number(comparison.interval.mean, True),
                    Cell(span(comparison.interval)),
                    Cell(span(comparison.corrected)),
                    Cell(f"{comparison.p:.3f}", comparison.p),
                    Cell(f"{comparison.p_holm:.3f}", comparison.p_holm),
                    Cell(
                        f"{comparison.p_permutation:.3f} (≥ {comparison.p_permutation_smallest:.3g})",
                        comparison.p_permutation,
                    ),
                    number(comparison.detectable),
                    *(Cell(span(drawn[what]) if what in drawn else MISSING) for what in ("images", "seeds and images")),
                )
            )
    head = (
        "variant",
        "against",
        "verdict",
        f"Δ{analysis.metric}",
        "95 % interval",
        "at Holm's step",
        "p",
        "p (Holm)",
        "permutation p (smallest possible)",
        "detectable",
        "bootstrap: images",
        "bootstrap: seeds and images",
    )
    notes = (
        "In points, paired by seed. The verdict is read from the interval at Holm's step. Detectable: the smallest "
        "true difference that this number of seeds calls in 80 % of studies, if the true spread is the observed one. "
        "Bootstrap intervals resample the images (another test set) or seeds and images together; with few seeds "
        "they are too narrow, so the verdict is not read from them.",
    )
    title = f"{analysis.metric}, {analysis.which} epoch"
    return Table(f"comparisons-{analysis.metric}-{analysis.which}", head, tuple(rows), notes, title=title)


def runs_table(results: Results) -> Table:
    """Build the table of every run."""
    metric = results.plan.spec.metrics[0]
    rows = [
        (
            Cell(name),
            Cell(str(seed), seed),
            *(number(result.value(metric, which)) for which in WHICH),
            *(number(result.value("AP50", which)) for which in WHICH),
            Cell(str(result.best_epoch), result.best_epoch),
            Cell(f"{result.epoch_seconds:.1f}", result.epoch_seconds),
            Cell(f"{result.trained.get('memory_mib', math.nan):,.0f}", result.trained.get("memory_mib")),
        )
        for name in ordered(results)
        for seed, result in results.by_variant[name].items()
    ]
    head = (
        "variant",
        "seed",
        f"{metric} last",
        f"{metric} best",
        "AP50 last",
        "AP50 best",
        "best epoch",
        "s an epoch",
        "peak memory, MiB",
    )
    return Table("runs", head, tuple(rows))


def cost_table(results: Results, costs: dict[str, Cost], setting: dict[str, object]) -> Table:
    """Build the table of what each variant costs."""
    rows = []
    for name in ordered(results):
        cost, runs, base = costs[name], list(results.by_variant[name].values()), costs[BASELINE]
        (low, high), late = quartiles(cost), added_latency(cost, base)
        memory = [run.trained["memory_mib"] for run in runs if "memory_mib" in run.trained]
        rows.append(
            (
                Cell(name),
                Cell(f"{cost.parameters:,}", cost.parameters),
                Cell(f"{cost.parameters - base.parameters:+,}", cost.parameters),
                Cell(f"{cost.flops / 1e9:.2f}", cost.flops),
                Cell(f"{median(cost.latency_ms):.1f}", median(cost.latency_ms)),
                Cell(f"{low:.1f} – {high:.1f}", high - low),
                Cell(MISSING, 0.0) if name == BASELINE else Cell(f"{late:+.1f}", late),
                _median([run.epoch_seconds for run in runs], 1),
                _median(memory, 0),
            )
        )
    head = (
        "variant",
        "parameters",
        "added",
        "GFLOPs",
        "ms an image",
        "quartiles",
        "added ms",
        "training, s an epoch",
        "peak memory, MiB",
    )
    precisions = sorted({run.precision for runs in results.by_variant.values() for run in runs.values()} - {""})
    trained = " in ".join(filter(None, ["Training", " and ".join(precisions)]))
    kinds = {str(run.trained.get("memory")) for runs in results.by_variant.values() for run in runs.values()}
    notes = (
        f"Time: one image of {setting['imgsz']} px through the fused model in full precision, median of "
        f"{setting['rounds']} rounds in each of which every variant runs once, in changing order "
        f"({setting['device']}, {setting['threads']} threads); added: median of the rounds' differences. GFLOPs: 2 for "
        "a multiplication with addition, counted at torch's dispatcher (convolutions, matrix products). "
        f"{trained}: median of all seeds' medians, validation included. Memory: {', '.join(sorted(kinds))}.",
    )
    return Table("cost", head, tuple(rows), notes)


def _median(values: list[float], digits: int) -> Cell:
    return Cell(f"{median(values):,.{digits}f}", median(values)) if values else Cell(MISSING)


def size_table(results: Results, which: str) -> Table:
    """Build the table of AP by object size, as a heat map of differences to the baseline."""

    def value(name: str, column: str) -> float:
        return mean([v for v in results.values(name, column, which).values() if math.isfinite(v)])

    return _heat("sizes", results, SIZES, value, f"Mean AP over seeds by object size, {which} epoch, in points")


def class_table(results: Results, which: str) -> Table:
    """Build the table of AP by class, as a heat map of differences to the baseline."""
    some = next(iter(results.by_variant[ordered(results)[0]].values()))
    classes = tuple(some.metrics[which]["coco"]["per_class"])

    def value(name: str, column: str) -> float:
        values = [r.metrics[which]["coco"]["per_class"][column]["AP"] for r in results.by_variant[name].values()]
        return mean([v for v in values if v >= 0])

    return _heat("classes", results, classes, value, f"Mean AP over seeds by class, {which} epoch, in points")


def error_table(results: Results, which: str) -> Table:
    """Build the table of what each kind of error costs in AP, as a heat map; blue: fewer than the baseline."""

    def value(name: str, column: str) -> float:
        return mean([r.metrics[which]["tide"]["dAP"][column] for r in results.by_variant[name].values()])

    note = "AP50 points that mending this kind of error alone would gain (TIDE), mean over seeds; less is better"
    return _heat("errors", results, KINDS, value, note, better=-1)


def _heat(
    name: str,
    results: Results,
    columns: tuple[str, ...],
    value: Callable[[str, str], float],
    note: str,
    better: int = 1,
) -> Table:
    rows = []
    for variant in ordered(results):
        cells = [Cell(variant)]
        for column in columns:
            here, base = value(variant, column), value(BASELINE, column) if BASELINE in results.by_variant else math.nan
            difference = here - base
            if variant == BASELINE or not math.isfinite(difference):
                cells.append(number(here))
            else:
                text = f"{points(here)} ({points(difference, True)})"
                cells.append(Cell(text, here, shade=better * difference / FULL_SHADE))
        rows.append(tuple(cells))
    colours = "In brackets the difference to the baseline: blue better, orange worse, full colour at 5 points."
    return Table(name, ("variant", *columns), tuple(rows), (f"{note}. {colours}",), kind="heat")


def design_table(analysis: Analysis) -> Table:
    """Build the table of how many seeds other effects would need."""
    rows = []
    for name, comparison in {**analysis.baseline, **analysis.controls}.items():
        cells = [Cell(_needed(comparison, effect)) for effect in EFFECTS]
        rows.append(
            (Cell(name), number(comparison.spread), Cell(str(len(comparison.seeds)), len(comparison.seeds)), *cells)
        )
    head = ("variant", "sd of differences", "seeds", *(f"seeds to see {100 * effect:g}" for effect in EFFECTS))
    note = "Seeds needed to call a true difference of so many points in 80 % of studies (one variant, 5 % level)."
    return Table("design", head, tuple(rows), (note,))


def looks_table(spec: StudySpec) -> Table | None:
    """Build the table of the looks of a study that may grow; None where it has one look."""
    looks = looks_of(spec)
    if not looks:
        return None
    rows = tuple(
        (
            Cell(str(number + 1), number),
            Cell(f"{look.seeds} of {spec.max_seeds}", look.seeds),
            Cell(f"{look.alpha:.2g}", look.alpha),
            Cell(f"{smallest_detectable(1.0, look.seeds, alpha=look.alpha):.1f}" if look.seeds > 1 else MISSING),
            Cell(f"{look.smallest_p:.2g}", look.smallest_p),
            Cell("yes" if look.can_reject_by_signs else "no"),
        )
        for number, look in enumerate(looks)
    )
    note = (
        "Each look spends a part of the 5 % of false claims (Lan and DeMets, as O'Brien and Fleming would), all looks "
        "together at most 5 %; what was called at one look stays called. Detectable: the smallest true difference that "
        "the look calls in 80 % of studies. Where exchanging signs cannot reach the level, a verdict of it rests on "
        "the differences being roughly normal."
    )
    head = ("look", "seeds", "level", "detectable, in sd of differences", "smallest permutation p", "could call by it")
    return Table("looks", head, rows, (note,))


def _needed(comparison: Comparison, effect: float) -> str:
    if comparison.constant:
        return MISSING
    needed = seeds_needed(effect, comparison.spread)
    return "> 1000" if needed is None else str(needed)


def control_table(results: Results) -> Table | None:
    """Build the table of how the controls were matched; None where there are none."""
    rows = []
    for name, matches in results.plan.matches.items():
        target, got = sum(m.target for m in matches), sum(m.got for m in matches)
        kernels = ", ".join(sorted({f"{m.kernel_size}×{m.kernel_size}" for m in matches}))
        widths = ", ".join(str(m.hidden) for m in matches)
        cells = (Cell(f"{target:,}", target), Cell(f"{got:,}", got), Cell(f"{100 * (got / target - 1):+.2f} %"))
        rows.append((Cell(name.removesuffix(CONTROL)), *cells, Cell(kernels), Cell(widths)))
    if not rows:
        return None
    head = ("control of", "parameters of the mechanism", "of the control", "off by", "kernel", "hidden widths")
    return Table("controls", head, tuple(rows))


def spread_table(results: Results) -> Table:
    """Build the table of mean and spread of every metric of interest, last and best epoch."""
    metrics = results.plan.spec.metrics
    rows = []
    for name in ordered(results):
        cells = [Cell(name)]
        for metric in metrics:
            for which in WHICH:
                values = [v for v in results.values(name, metric, which).values() if math.isfinite(v)]
                cells.append(Cell(f"{points(mean(values))} ± {points(deviation(values))}", mean(values)))
        rows.append(tuple(cells))
    head = ("variant", *(f"{metric} {which}" for metric in metrics for which in WHICH))
    return Table("means", head, tuple(rows), ("Mean ± standard deviation over seeds, in points.",))
