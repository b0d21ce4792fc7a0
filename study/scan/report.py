"""Write what a scan found: scan.csv, report.md, report.html."""

import csv
import io
import math
from collections.abc import Sequence

import numpy as np

from study.plan.run import write_whole
from study.report.comparison_table import MISSING, Cell, Table
from study.report.plots import proposals
from study.report.templating import render
from study.scan.ranking import Ranked, unbeaten
from study.scan.run import CONTROLLED, Scan

SHOWN = 40  # candidates in report.md; the page and scan.csv have all
SIGNIFICANT = 0.05
COLUMNS = (
    "rank rank_low rank_high candidate mechanism place score standard_error p p_plain parameters milliseconds pareto "
    "rung"
).split()
SCORES = {
    "gradient": "first-order fall of the loss for a change of the map by one percent, with the values at the start",
    "frozen": "fall of the held-out loss, the detector frozen and the candidate trained",
    "joint": "part of the map that the candidate changes after training it with the detector, open gates paying",
    "halving": "fall of the held-out loss after short trainings, against one without the candidate",
}
PROPOSAL = (
    "This is a proposal, not a verdict: the score says what a mechanism can do at once for this detector, not what a "
    "whole training makes of it. `python study.py --scan SPEC --confirm K` trains the best ones beside places drawn at "
    "random and plain convolutions, on other seeds, and says whether this ranking was worth anything."
)


def write_scan_report(scan: Scan) -> str:
    """Write the report of a finished scan.

    Returns:
        The best candidates in short, and where the report is.

    Raises:
        OSError: if it cannot be written.
    """
    times = {name: cost.milliseconds for name, cost in scan.costs.items()}
    front = unbeaten(scan.ranked, times)
    write_whole(scan.folder / "scan.csv", scan_csv(scan, front))
    tables = [_candidates(scan, front, len(scan.ranked)), _by_place(scan)]
    lead, warnings = _lead(scan), _warnings(scan)
    points = {entry.candidate.name: (times[entry.candidate.name], entry.score) for entry in scan.ranked}
    named = [entry.candidate.name for entry in reversed(scan.ranked) if entry.candidate.name in front]
    plot = proposals(points, sorted(named, key=lambda name: times[name]), "score")
    write_whole(scan.folder / "score.svg", f"{plot}\n")
    title = f"Scan: {scan.spec.name}"
    page = render("scan.html.jinja", title=title, lead=lead, warnings=warnings, plot=plot, tables=tables)
    write_whole(scan.folder / "report.html", f"{page}\n")
    shown = [_candidates(scan, front, SHOWN), tables[1]]
    parts = [f"# {title}", *lead, *(f"> {text}" for text in warnings), "![score against time](score.svg)"]
    write_whole(scan.folder / "report.md", "\n\n".join([*parts, *(table.markdown() for table in shown)]) + "\n")
    best = [
        f"{entry.rank}. {entry.candidate.name}: score {entry.score:.4g} ± {entry.error:.2g}{_p(entry)}"
        for entry in scan.ranked[:5]
    ]
    return "\n".join([*best, PROPOSAL.replace("`", ""), f"report.html, report.md and scan.csv in {scan.folder}"])


def _p(entry: Ranked) -> str:
    return "" if math.isnan(entry.p) else f", p {entry.p:.3f}"


def scan_csv(scan: Scan, front: set[str]) -> str:
    """Return a row for every candidate, the best first."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    for entry in scan.ranked:
        cost = scan.costs[entry.candidate.name]
        rows.writerow(
            [
                *(entry.rank, entry.rank_low, entry.rank_high, entry.candidate.name, entry.candidate.mechanism),
                *(entry.candidate.place.name, f"{entry.score:.6g}", f"{entry.error:.6g}", _plain(entry.p)),
                *(_plain(entry.p_plain), cost.parameters, f"{cost.milliseconds:.4g}"),
                *(int(entry.candidate.name in front), entry.rung),
            ]
        )
    return text.getvalue()


def _plain(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.4g}"


def _number(value: float, digits: int = 3) -> Cell:
    return Cell(MISSING) if math.isnan(value) else Cell(f"{value:.{digits}f}", value)


def _candidates(scan: Scan, front: set[str], most: int) -> Table:
    rows = []
    for entry in scan.ranked[:most]:
        name, cost = entry.candidate.name, scan.costs[entry.candidate.name]
        rows.append(
            (
                Cell(str(entry.rank), entry.rank),
                Cell(name),
                Cell(f"{entry.score:.4g} ± {entry.error:.2g}", entry.score),
                Cell(f"{entry.rank_low} – {entry.rank_high}", entry.rank_low),
                _number(entry.p),
                _number(entry.p_plain),
                Cell(f"{cost.parameters:,}", cost.parameters),
                Cell(f"{cost.milliseconds:.2f}", cost.milliseconds),
                Cell("yes" if name in front else ""),
            )
        )
    head = ("rank", "candidate", "score", "95 % of its ranks", "p, labels exchanged", "p, plain convolutions")
    notes = (
        f"Score: {SCORES[scan.spec.method]}; ± its standard error. Ranks: of resampled images. p, labels exchanged: "
        "share of exchanges of labels between images under which the loss would fall as far, at least 0.025. p, plain "
        f"convolutions, for the first {CONTROLLED}: that it is no better than such blocks of about its size there; "
        "chosen by their scores, they look a little better than they are. Neither p is corrected "
        f"for {len(scan.ranked)} candidates: without any effect about {SIGNIFICANT * len(scan.ranked):.0f} would lie "
        "below 0.05. Unbeaten: no other candidate is both faster and ranked higher.",
    )
    title = "Candidates" if most >= len(scan.ranked) else f"The first {most} of {len(scan.ranked)} candidates"
    return Table("candidates", (*head, "parameters", "ms", "unbeaten"), tuple(rows), notes, title=title)


def _by_place(scan: Scan) -> Table:
    """Return scores by mechanism and place, as a heat map."""
    scores = {(entry.candidate.mechanism, entry.candidate.place.name): entry.score for entry in scan.ranked}
    mechanisms = list(dict.fromkeys(entry.candidate.mechanism for entry in scan.ranked))
    places = sorted(dict.fromkeys(entry.candidate.place.name for entry in scan.ranked), key=_place_order)
    most = float(np.quantile(np.abs(list(scores.values())), 0.95)) or 1.0
    rows = tuple(
        (Cell(place), *(_heat(scores.get((mechanism, place)), most) for mechanism in mechanisms)) for place in places
    )
    return Table("places", ("place", *mechanisms), rows, kind="heat", title="Mechanism and place")


def _place_order(name: str) -> tuple[str, list[int]]:
    form, _, rows = name.rpartition(":")
    return form, [int(row) for row in rows.split(",") if row.isdigit()]


def _heat(score: float | None, most: float) -> Cell:
    return Cell(MISSING) if score is None else Cell(f"{score:.3g}", score, shade=score / most)


def _lead(scan: Scan) -> Sequence[str]:
    spec = scan.spec
    trained = (
        f"trained for {spec.epochs} epoch{'s' * (spec.epochs > 1)} first (AP {100 * scan.start.ap:.1f} on val)"
        if scan.start.ap is not None
        else "as it is"
    )
    return [
        f"{len(scan.ranked)} candidates, scored by the method `{spec.method}` with {len(scan.start.frozen.images)} "
        f"images of the train split; the detector was {trained}. Scores are cross-fitted: an image is scored by what "
        "was learned on the other half of the images.",
        PROPOSAL,
    ]


def _warnings(scan: Scan) -> Sequence[str]:
    found = [f"left out: {reason}" for reason in scan.left_out[:10]]
    if len(scan.left_out) > len(found):
        found.append(f"and {len(scan.left_out) - len(found)} more combinations that cannot be")
    if scan.start.ap is not None and scan.start.ap < 0.01:
        found.append(
            "The detector has learned next to nothing, so its loss shows little: give it more epochs (budget)."
        )
    return found
