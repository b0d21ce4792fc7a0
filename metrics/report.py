"""Report all numbers of one prediction set: one matching, one table to read, one dictionary to store."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metrics.coco import STAT_NAMES, coco_from_table, coco_metrics
from metrics.curves import Curves, confidence_curves, confusion_matrix
from metrics.inputs import Detections, Ints, Truths, read_detections, read_truths
from metrics.matching import MatchTable, match
from metrics.tide import KINDS, ErrorKinds, count_errors, error_kinds, loose_pairs, tide_from_table
from metrics.voc import voc_ap

PER_CLASS = ("AP", "AP50", "AP75", "APs", "APm", "APl")
LEGEND = (
    "AP: mean over IoU 0.50 to 0.95. s, m, l: objects below 32 × 32 pixels, below 96 × 96, larger.",
    "AR1, AR10, AR100: recall with so many boxes an image. {voc}: mAP at IoU 0.5 as PASCAL VOC {form}.",
    "AP50 cost: AP50 that mending this kind alone would gain. More in docs/metrics.md.",
)


@dataclass(frozen=True)
class Report:
    """Every number of one prediction set.

    Attributes:
        images: number of images.
        coco: what `coco_metrics` returns.
        voc: "voc07", "voc10" and, with inclusive pixels, "voc07_plus_one", "voc10_plus_one": what `voc_ap` returns.
        tide: what `tide_errors` returns.
        curves: precision, recall and F1 against confidence at IoU 0.5.
        confusion: (K + 1, K + 1), from `confusion_matrix`.
        matches: the match table, for resampling images later (`bootstrap_ap`).
        errors: the kind of every error, for showing images of them.
        confidence: what detections need to be in the confusion matrix and in `errors_at_confidence`.
    """

    images: int
    coco: dict[str, Any]
    voc: dict[str, dict[str, Any]]
    tide: dict[str, Any]
    curves: Curves
    confusion: Ints
    matches: MatchTable
    errors: ErrorKinds
    confidence: float = 0.25

    @property
    def errors_at_confidence(self) -> dict[str, int]:
        """Number of errors of each kind that a user sees who keeps detections of `confidence` or more."""
        return count_errors(self.matches, self.errors, self.confidence)

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as plain types, in the form of metrics.json."""
        names = [str(name) for name in self.matches.names]
        return {
            "images": self.images,
            "truths": int(self.matches.truth_counts[0].sum()),
            "detections": len(self.matches.row),
            "coco": self.coco,
            "voc": self.voc,
            "tide": {
                **self.tide,
                "at_confidence": {"confidence": self.confidence, "counts": self.errors_at_confidence},
            },
            "best_f1": self.curves.best(),
            "confusion": {
                "predicted_by_true": self.confusion.tolist(),
                "names": [*names, "background"],
                "confidence": self.confidence,
            },
        }

    def save_json(self, path: str | Path) -> None:
        """Write metrics.json."""
        Path(path).write_text(json.dumps(self.to_dict(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    def table(self, per_class: bool = False, voc07: bool = False) -> str:
        """Return the numbers as text.

        Args:
            per_class: add a row for each class.
            voc07: show the 11-point AP of VOC2007 where VOC's AP is shown, rather than the area form of 2010.

        Returns:
            Lines of at most 100 characters (class names are cut); "–" where there is nothing to measure.
        """
        voc = self.voc["voc07" if voc07 else "voc10"]
        best = self.curves.best()
        kept = int((self.matches.score >= self.confidence).sum())
        counts = (
            f"{int(self.matches.truth_counts[0].sum())} objects, {len(self.matches.row)} detections, "
            f"{kept} of them of confidence {self.confidence:g} or more"
        )
        errors = self.errors_at_confidence
        lines = [
            f"{self.images} images, {counts}",
            "",
            *_rows("COCO", [(name, self.coco[name]) for name in STAT_NAMES[:6]]),
            *_rows("", [(name, self.coco[name]) for name in STAT_NAMES[6:]]),
            *_rows("VOC07" if voc07 else "VOC10", [("mAP", voc["mAP"])]),
            *_rows("best F1", [(key, best[key]) for key in ("precision", "recall", "f1", "confidence")]),
            "",
            f"errors among the detections of confidence {self.confidence:g} or more",
            *_rows("errors", [(kind, errors[kind]) for kind in KINDS], width=15),
            f"{'AP50 cost':<10}" + "".join(f"{_number(self.tide['dAP'][kind]):>15}" for kind in KINDS),
            *(self._class_rows(voc) if per_class else []),
            "",
        ]
        form = ("VOC07", "2007, at 11 recalls") if voc07 else ("VOC10", "2010")
        return "\n".join([*lines, *(line.format(voc=form[0], form=form[1]) for line in LEGEND)])

    def _class_rows(self, voc: Mapping[str, Any]) -> list[str]:
        heads = ("objects", *PER_CLASS, "VOC")
        lines = ["", f"{'class':<20}" + "".join(f"{head:>10}" for head in heads)]
        for name, row in self.coco["per_class"].items():
            cells = [str(row["truths"]), *(_number(row[key]) for key in PER_CLASS), _number(voc["per_class"][name])]
            lines.append(f"{name[:19]:<20}" + "".join(f"{cell:>10}" for cell in cells))
        return lines


def evaluate(
    gt: Mapping[str, Any] | Truths,
    detections: Sequence[Mapping[str, Any]] | Detections,
    evaluator: str = "table",
    confidence: float = 0.25,
) -> Report:
    """Compute every number of one prediction set.

    Args:
        gt: COCO ground-truth dictionary, or its columns.
        detections: COCO results, or their columns.
        evaluator: who computes COCO's numbers, see `coco_metrics`; everything else is always ours.
        confidence: detections below it are left out of the confusion matrix and of `errors_at_confidence`.

    Returns:
        The report.

    Raises:
        ValueError: if a row of the input is unusable or the evaluator is unknown.
    """
    truths = read_truths(gt)
    columns = read_detections(detections, truths)
    table = match(truths, columns)
    pairs = loose_pairs(table, truths, columns)
    errors = error_kinds(table, truths, pairs)
    forms = {"voc07": (True, False), "voc10": (False, False)}
    forms |= {f"{name}_plus_one": (use_07, True) for name, (use_07, _) in forms.items()}
    return Report(
        images=len(truths.image_ids),
        coco=coco_from_table(table) if evaluator == "table" else coco_metrics(truths, columns, evaluator),
        voc={name: voc_ap(truths, columns, use_07, plus_one=plus) for name, (use_07, plus) in forms.items()},
        tide=tide_from_table(table, errors),
        curves=confidence_curves(table),
        confusion=confusion_matrix(table, truths, pairs, confidence),
        matches=table,
        errors=errors,
        confidence=confidence,
    )


def _rows(title: str, cells: Sequence[tuple[str, float]], width: int = 12) -> list[str]:
    """Return a line of heads over a line of numbers."""
    return [
        " " * 10 + "".join(f"{head:>{width}}" for head, _ in cells),
        f"{title:<10}" + "".join(f"{_number(value):>{width}}" for _, value in cells),
    ]


def _number(value: float) -> str:
    if isinstance(value, int):
        return str(value)
    return "–" if value < 0 else f"{value:.4f}"
