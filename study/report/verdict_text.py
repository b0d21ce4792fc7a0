"""Say in plain English what came out: an answer for every variant, and what the report's terms mean."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from markupsafe import Markup

from study.analysis.comparisons import Analysis
from study.analysis.intervals import Verdict
from study.analysis.learned import LEAST_AP50
from study.analysis.power import seeds_needed
from study.analysis.results import Results
from study.analysis.statistics import Comparison
from study.execute.cost import Cost, added_latency
from study.plan.variants import BASELINE, CONTROL
from study.report.comparison_table import TONES, ordered, points, span, without_comparison
from study.report.templating import render

POWER = 0.8  # chance with which the seeds that are named would decide
LISTED = 4  # places of attention that are named
TERMS = {
    "points": "AP as a percentage: a difference of 1 point is 0.01 of AP.",
    "AP, AP50": "average precision as COCO defines it: AP over overlaps (IoU) from 0.50 to 0.95, AP50 at 0.50.",
    "seed": "every variant is trained once with each seed. Runs of one seed share initial values, order of data and "
    "augmentation, so differences are taken seed by seed.",
    "gain, loss": "the whole interval of the mean difference lies on one side of zero.",
    "no detectable effect": "the interval holds zero. It does not say that there is no effect, only that one that is "
    "smaller than the number given would usually be missed.",
    "nothing was learned": f"variant and baseline stay below {100 * LEAST_AP50:g} point of AP50 with every seed: a "
    "difference between them says nothing about attention.",
    "not judged yet": "the study may grow (max_seeds), and a verdict is read only when all runs of a planned look are "
    "done: looking in between would find more by chance.",
    "not the identity at the start": "the variant changes what the pretrained detector computes before any training.",
    "interval": "where the true mean difference lies with 95 % confidence, for all variants of the study together: the "
    "more variants, the wider (Holm's method). p (Holm) is the same test's p-value; below 0.05 is a gain or a loss.",
    "control": "the variant with plain convolutions in place of attention, at the same positions and with as many "
    "parameters. A gain over the baseline that is no gain over the control may be due to size alone.",
    "last, best": "the epoch that is measured. The last one decides, because the best is a lucky one by choice.",
}


@dataclass(frozen=True)
class Answer:
    """What came out for one variant.

    Attributes:
        name: of the variant.
        verdict: in short.
        tone: class of the style sheet.
        text: the rest, as sentences.
    """

    name: str
    verdict: str
    tone: str
    text: str

    def markdown(self) -> str:
        """Return the answer as an item of a list in Markdown."""
        return f"- **{self.name}: {self.verdict}.** {self.text}"

    def html(self) -> Markup:
        """Return the answer as an item of a list."""
        return render("answer.html.jinja", answer=self)


def answers(
    results: Results,
    analysis: Analysis,
    costs: Mapping[str, Cost],
    changed: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> list[Answer]:
    """Say for every variant, controls left out, whether it helps and what it costs.

    Args:
        results: of the study.
        analysis: of the metric that decides.
        costs: of each variant.
        changed: variant → its attention that does not start as the identity on pretrained weights.
    """
    answered = []
    flagged = {variant.name for variant in results.plan.spec.variants if variant.train}
    for name in ordered(results):
        if name == BASELINE or name.endswith(CONTROL):
            continue
        comparison, own = analysis.baseline.get(name), analysis.own.get(name)
        cost = _cost(costs[name], costs[BASELINE])
        if comparison is None:
            why = without_comparison(results, name, analysis.metric)
            answered.append(Answer(name, why, "", f"{_needs(why, analysis.metric)} {cost}"))
            continue
        causes = ["the added size"] if costs[name].parameters > costs[BASELINE].parameters else []
        causes += ["its own training flags"] if name in flagged and causes else []
        parts = [_difference(comparison, analysis.metric), _against(own), _conclusion(comparison, own, causes)]
        parts += [_start(changed.get(name, ())), cost]
        verdict = comparison.verdict
        answered.append(Answer(name, verdict.value, TONES[verdict], " ".join(filter(None, parts))))
    return answered


def _needs(why: str, metric: str) -> str:
    if why == "too few runs":
        return "A comparison needs two seeds or more."
    return (
        f"The images that measure hold none, so {metric} has no value; write another one first under metrics and start "
        "again: nothing is trained anew."
    )


def _difference(comparison: Comparison, metric: str) -> str:
    mean, low, high = (
        points(v, True) for v in (comparison.interval.mean, comparison.corrected.low, comparison.corrected.high)
    )
    seeds = len(comparison.seeds)
    if comparison.verdict is Verdict.UNLEARNED:
        return (
            f"AP50 stays below {100 * LEAST_AP50:g} point with and without it, so there is nothing to compare yet: "
            "give the runs more epochs (budget), start from weights, or train on larger images (imgsz)."
        )
    if comparison.constant:
        return f"{metric} differs by {mean} with all {seeds} seeds alike, which leaves nothing to judge it by."
    if comparison.verdict is Verdict.OPEN:
        return (
            f"{metric} differs by {mean} points so far over {seeds} seeds; a verdict is read when all runs of this "
            "look are done."
        )
    where = f"the true difference probably lies between {low} and {high}"
    if comparison.verdict is Verdict.NONE:
        return (
            f"{metric} differs by {mean} points on average over {seeds} seeds; chance alone does as much, and {where}. "
            f"This study would usually miss effects of less than about {points(comparison.detectable)} points."
            f"{_more_seeds(comparison)}"
        )
    way = "rises" if comparison.verdict is Verdict.GAIN else "falls"
    return f"{metric} {way} by {points(abs(comparison.interval.mean))} points on average over {seeds} seeds; {where}."


def _more_seeds(comparison: Comparison) -> str:
    """Say how many more seeds would decide, if the true difference is the observed one."""
    alpha = 1 - comparison.corrected.level
    if comparison.spread <= 0 or not alpha < POWER:
        return ""
    needed = seeds_needed(comparison.interval.mean, comparison.spread, POWER, alpha)
    if needed is None:
        return " If the true difference is this one, not even 1000 seeds would decide it."
    more = max(1, needed - len(comparison.seeds))
    return f" If the true difference is this one, about {more} more seed{'s' * (more > 1)} would decide it."


def _against(own: Comparison | None) -> str:
    if own is None or own.verdict in (Verdict.UNLEARNED, Verdict.OPEN):
        return ""
    what = {
        Verdict.GAIN: "it is better",
        Verdict.LOSS: "it is worse",
        Verdict.NONE: "no difference is detectable",
    }[own.verdict]
    difference = f"{points(own.interval.mean, True)} {span(own.corrected)}"
    return f"Against plain convolutions of the same size (its control) {what}: {difference}."


def _conclusion(comparison: Comparison, own: Comparison | None, causes: list[str]) -> str:
    """Say what a gain may be credited to, other causes than attention among it."""
    if comparison.verdict is not Verdict.GAIN or not causes:
        return ""
    other = " or ".join(causes)
    if own is None:
        return f"Without a control, the gain may come from {other} alone."
    if own.verdict in (Verdict.UNLEARNED, Verdict.OPEN):
        return ""
    return {
        Verdict.GAIN: "So attention itself helps, not only the added size.",
        Verdict.LOSS: "So plain convolutions of that size would help more.",
        Verdict.NONE: f"So the gain may come from {other} alone.",
    }[own.verdict]


def _start(changed: Sequence[str]) -> str:
    """Say that a variant changed the pretrained detector before it was trained, which its verdict is about too."""
    if not changed:
        return ""
    shown = ", ".join(changed[:LISTED]) + (f" and {len(changed) - LISTED} more" if len(changed) > LISTED else "")
    return (
        f"It does not start as the identity on the pretrained weights ({shown}), so the verdict is about that start "
        "too; identity: true keeps the detector as it is."
    )


def _cost(cost: Cost, base: Cost) -> str:
    added, late = cost.parameters - base.parameters, added_latency(cost, base)
    return f"Cost: {added:+,} parameters ({100 * added / base.parameters:+.1f} %), {late:+.1f} ms an image."
