"""Sort errors into TIDE's kinds, and say how much AP each kind costs.

Every wrong detection gets one kind, every object that no detection could have been mended to find is missed. The cost
of a kind, dAP, is how much AP50 would rise if an oracle mended the errors of that kind alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from metrics.average_precision import average_precision
from metrics.inputs import Bools, Detections, Floats, Ints, Truths, read_detections, read_truths
from metrics.iou import Pairs, overlapping
from metrics.matching import RIGHT, WRONG, MatchTable, match

NONE, CLASSIFICATION, LOCALISATION, BOTH, DUPLICATE, BACKGROUND = range(6)
KINDS = ("classification", "localisation", "both", "duplicate", "background", "missed")
FOREGROUND, BACKGROUND_IOU = 0.5, 0.1


@dataclass(frozen=True)
class ErrorKinds:
    """The kind of every error of a match table.

    Attributes:
        kind: (D,) NONE for right and ignored detections, else CLASSIFICATION … BACKGROUND.
        target: (D,) object that a classification or localisation error was about, -1 otherwise.
        mends: (D,) whether mending this detection would find its target: the target is not found already, and no
            better-scored detection would be mended to find it.
        found: (G,) objects that a detection found.
        missed: (G,) objects that count, are not found and are no target.
    """

    kind: Ints
    target: Ints
    mends: Bools
    found: Bools
    missed: Bools


def tide_errors(gt: Mapping[str, Any] | Truths, detections: Sequence[Mapping[str, Any]] | Detections) -> dict[str, Any]:
    """Count errors by kind and say what each kind costs.

    Args:
        gt: COCO ground-truth dictionary, or its columns.
        detections: COCO results, or their columns.

    Returns:
        counts: number of errors of each kind in KINDS; dAP: gain in AP50 (0–1, never negative) from mending that kind
        alone; special: gain from taking away every wrong detection (`false_positive`) and from forgiving every object
        not found (`false_negative`); AP50: what the gains start from.

    Raises:
        ValueError: if a row of the input is unusable.
    """
    truths = read_truths(gt)
    columns = read_detections(detections, truths)
    table = match(truths, columns)
    return tide_from_table(table, error_kinds(table, truths, loose_pairs(table, truths, columns)))


def loose_pairs(table: MatchTable, truths: Truths, detections: Detections) -> Pairs:
    """Pair any two classes' boxes that overlap by 0.1 or more; their `detection` is a row of the table."""
    pairs = overlapping(truths, detections, BACKGROUND_IOU, same_class=False, rows=table.row, crowd=False)
    position = np.empty(len(detections), dtype=np.int64)
    position[table.row] = np.arange(len(table.row))
    return Pairs(position[pairs.detection], pairs.truth, pairs.iou)


def error_kinds(table: MatchTable, truths: Truths, pairs: Pairs) -> ErrorKinds:
    """Give every wrong detection its kind.

    Asked in this order, the first that fits: localisation (0.1 <= overlap <= 0.5 with the best object of its class),
    classification (overlap >= 0.5 with an object of another class), duplicate (overlap >= 0.5 with an object of its
    class, which then is taken), background (overlap <= 0.1 with everything), else both.

    Args:
        table: from `match`.
        truths: what the table was made from.
        pairs: from `loose_pairs`.

    Returns:
        The kinds. Crowds are no objects here, and ignored detections no errors.

    Source:
        Bolya et al., TIDE, ECCV 2020, arXiv:2008.08115, §2, and the order of tests in the authors' tidecv 1.0.1.
        Differs: matching is COCO's (100 detections of each image and class, ties to the later annotation).
    """
    count = len(table.row)
    objects = ~truths.crowd[pairs.truth]
    same = table.category[pairs.detection] == truths.category[pairs.truth]
    own, own_object = _largest(pairs, objects & same, count)
    other, other_object = _largest(pairs, objects & ~same, count)
    tests = (
        (LOCALISATION, (own >= BACKGROUND_IOU) & (own <= FOREGROUND)),
        (CLASSIFICATION, other >= FOREGROUND),
        (DUPLICATE, own >= FOREGROUND),
        (BACKGROUND, np.maximum(own, other) <= BACKGROUND_IOU),
        (BOTH, np.ones(count, dtype=bool)),
    )
    state = table.state[0, 0]
    kind = np.where(state == WRONG, np.select([t for _, t in tests], [k for k, _ in tests], NONE), NONE)
    target = np.select([kind == LOCALISATION, kind == CLASSIFICATION], [own_object, other_object], -1)
    found = np.zeros(len(truths.image), dtype=bool)
    found[table.truth[state == RIGHT]] = True
    aimed = np.flatnonzero(target >= 0)
    aimed = aimed[~found[target[aimed]]]
    order = aimed[np.lexsort((table.row[aimed], -table.score[aimed], target[aimed]))]
    mends = np.zeros(count, dtype=bool)
    mends[order[np.diff(target[order], prepend=-1) != 0]] = True
    missed = table.truth_counts[0] & ~found
    missed[target[mends]] = False
    return ErrorKinds(kind, target, mends, found, missed)


def tide_from_table(table: MatchTable, errors: ErrorKinds) -> dict[str, Any]:
    """Return counts and AP costs of the error kinds; see `tide_errors`."""
    state = table.state[0, 0]
    right, kept = state == RIGHT, (state == RIGHT) | (state == WRONG)
    positives = table.positives()
    missed = np.bincount(table.truth_category[errors.missed], minlength=len(positives))
    unfound = np.bincount(table.truth_category[table.truth_counts[0] & ~errors.found], minlength=len(positives))
    mended = table.category.copy()
    mended[errors.mends] = table.truth_category[errors.target[errors.mends]]
    scored = np.flatnonzero(positives)

    def ap(right: Bools, kept: Bools, positives: Ints, category: Ints = table.category) -> float:
        order = np.lexsort((-table.score, category))  # stable: ties stay in the order of the table
        order = order[kept[order]]
        edges = np.searchsorted(category[order], np.arange(len(positives) + 1))
        # A class whose objects were all forgiven keeps an AP of 0, so that the mean is over the same classes.
        each = [
            average_precision(right[order[edges[k] : edges[k + 1]]], int(positives[k])) if positives[k] else 0.0
            for k in scored
        ]
        return float(np.mean(each)) if each else 0.0

    base = ap(right, kept, positives)
    gains, counts = {}, {}
    for code, name in enumerate(KINDS[:-1], CLASSIFICATION):
        wrong = errors.kind == code
        counts[name] = int(wrong.sum())
        category = np.where(wrong, mended, table.category)
        gains[name] = ap(right | (wrong & errors.mends), kept & (~wrong | errors.mends), positives, category) - base
    counts[KINDS[-1]] = int(errors.missed.sum())
    gains[KINDS[-1]] = ap(right, kept, positives - missed) - base
    return {
        "AP50": base,
        "counts": counts,
        "dAP": {name: max(gain, 0.0) for name, gain in gains.items()},
        "special": {
            "false_positive": ap(right, right, positives) - base,
            "false_negative": ap(right, kept, positives - unfound) - base,
        },
    }


def count_errors(table: MatchTable, errors: ErrorKinds, confidence: float) -> dict[str, int]:
    """Count the errors among detections of at least some confidence; objects that only others find are missed.

    Args:
        table: from `match`.
        errors: from `error_kinds`.
        confidence: of the detections that are kept.

    Returns:
        Kind in KINDS → number. Detections below do not change what the others are, so these are the kinds that
        `tide_errors` gives for the kept ones alone.
    """
    kept = table.score >= confidence
    counts = {name: int((kept & (errors.kind == code)).sum()) for code, name in enumerate(KINDS[:-1], CLASSIFICATION)}
    missed = table.truth_counts[0].copy()
    missed[table.truth[kept & (table.state[0, 0] == RIGHT)]] = False
    missed[errors.target[kept & (errors.target >= 0)]] = False
    return {**counts, KINDS[-1]: int(missed.sum())}


def plot_tide(results: Mapping[str, Mapping[str, Any]], path: str | Path) -> None:
    """Draw the cost of each kind of error as bars, one colour a model.

    Args:
        results: what `tide_errors` returned, by name of the model; with "at_confidence", as metrics.json has it, the
            numbers of errors beside the bars are those at that confidence.
        path: image to write; its suffix decides the format.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    height = 0.8 / max(len(results), 1)
    for i, (name, result) in enumerate(results.items()):
        at = np.arange(len(KINDS)) + (i - (len(results) - 1) / 2) * height
        costs = [100 * result["dAP"][kind] for kind in KINDS]
        bars = axes.barh(at, costs, height, label=name)
        counts = result.get("at_confidence", result)["counts"]
        labels = [f"{cost:.1f}  ({counts[kind]:.0f})" for cost, kind in zip(costs, KINDS, strict=True)]
        axes.bar_label(bars, labels, padding=3, fontsize=8)
    axes.set_yticks(np.arange(len(KINDS)), KINDS)
    axes.invert_yaxis()
    axes.margins(x=0.15)
    levels = {result["at_confidence"]["confidence"] for result in results.values() if "at_confidence" in result}
    at_level = f" from confidence {min(levels):g}" if levels else ""
    axes.set_xlabel(f"AP50 points gained if mended (number of errors{at_level})")
    axes.spines[["top", "right"]].set_visible(False)
    if len(results) > 1:
        axes.legend(frameon=False)
    figure.savefig(path, dpi=150)


def _largest(pairs: Pairs, wanted: Bools, count: int) -> tuple[Floats, Ints]:
    """Return each detection's largest overlap in wanted pairs and its object (first of equals); 0, −1 without any."""
    detection, truth, iou = pairs.detection[wanted], pairs.truth[wanted], pairs.iou[wanted]
    order = np.lexsort((truth, -iou, detection))
    first = order[np.diff(detection[order], prepend=-1) != 0]
    best_iou, chosen = np.zeros(count), np.full(count, -1)
    best_iou[detection[first]], chosen[detection[first]] = iou[first], truth[first]
    return best_iou, chosen
