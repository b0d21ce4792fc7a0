"""Report the doctor's issues and statistics, as text for people and plain types for programs."""

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data.records import Dataset, Issue

# Worth knowing, but nothing to mend: these do not fail --strict.
NOTES = frozenset(
    "deep exif-rotated low-confidence no-label polygon pose same-splits segmentation several-frames two-formats "
    "unlisted".split()
)
_EXAMPLES = 3
_RAREST = 5  # classes of which the report says what would balance them


@dataclass(slots=True)
class Report:
    """The state of a data set.

    Args:
        dataset: as read, repairs done.
        imgsz: training resolution in pixels, for object sizes and anchors.
        splits: split name → statistics.
        balance: class balance over all splits.
        remedies: what oversampling and class weights would do to the training images.
        anchors: fit of the anchors.
        issues: (split, issue) in reading order.
        groups: (split, file) of the images that show the same.
    """

    dataset: Dataset
    imgsz: int
    splits: dict[str, dict[str, Any]]
    balance: dict[str, Any]
    remedies: dict[str, Any]
    anchors: dict[str, Any]
    issues: list[tuple[str, Issue]] = field(default_factory=list)
    groups: list[list[tuple[str, Path]]] = field(default_factory=list)

    @property
    def problems(self) -> list[Issue]:
        """The issues that ask for a remedy."""
        return [issue for _, issue in self.issues if issue.kind not in NOTES]

    def by_kind(self) -> dict[str, list[Issue]]:
        """Group issues by kind, problems first, the most frequent first."""
        groups: dict[str, list[Issue]] = defaultdict(list)
        for _, issue in self.issues:
            groups[issue.kind].append(issue)
        return dict(sorted(groups.items(), key=lambda item: (item[0] in NOTES, -len(item[1]), item[0])))

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain types, ready for JSON."""
        return {
            "name": self.dataset.name,
            "format": self.dataset.format,
            "names": {str(number): name for number, name in self.dataset.names.items()},
            "imgsz": self.imgsz,
            "splits": self.splits,
            "balance": self.balance,
            "remedies": self.remedies,
            "anchors": self.anchors,
            "counts": {kind: len(issues) for kind, issues in self.by_kind().items()},
            "problems": len(self.problems),
            "issues": [
                {
                    "split": split,
                    "file": str(issue.file),
                    "row": issue.row,
                    "kind": issue.kind,
                    "message": issue.message,
                    "action": issue.action,
                    "problem": issue.kind not in NOTES,
                }
                for split, issue in self.issues
            ],
        }

    def text(self, examples: int = _EXAMPLES) -> str:
        """Return the report as lines of text with some examples of each kind of issue."""
        lines = [f"{self.dataset.name}: {self.dataset.format}, {self.dataset.nc} classes"]
        for name, statistics in self.splits.items():
            lines += _split_lines(name, statistics, self.imgsz)
        lines += _class_table(self.splits, list(self.dataset.names.values()))
        ratio = self.balance["largest to smallest class"]
        lines.append(f"Largest to smallest class: {ratio if ratio is not None else 'no boxes'}")
        lines += [
            f"No boxes in {split} of: {', '.join(missing[:20])}{' …' if len(missing) > 20 else ''}"
            for split, missing in self.balance["classes without boxes"].items()
            if missing
        ]
        lines += _remedy_lines(self.remedies)
        if self.anchors["best possible recall"] is not None:
            lines.append(
                f"Anchors ({self.anchors['source']}) at {self.imgsz} px: best possible recall "
                f"{self.anchors['best possible recall']:.4f}, {self.anchors['anchors per box']:.2f} fit a box"
            )
        lines += self._issue_lines(examples)
        return "\n".join(lines)

    def _issue_lines(self, examples: int) -> list[str]:
        lines = []
        for kind, issues in self.by_kind().items():
            lines.append(f"{'note' if kind in NOTES else 'PROBLEM'} {kind}: {len(issues)}")
            lines += [f"    {issue}" for issue in issues[:examples]]
            if len(issues) > examples:
                lines.append(f"    … and {len(issues) - examples} more")
        lines.append(f"{len(self.problems)} problems" if self.problems else "No problems found")
        return lines


def _split_lines(name: str, statistics: dict[str, Any], imgsz: int) -> list[str]:
    shares = ", ".join(f"{key} {share:.1%}" for key, share in statistics["AP sizes"].items())
    lines = [
        f"{name}: {statistics['images']} images ({statistics['without objects']} without objects), "
        f"{statistics['boxes']} boxes"
        f" ({statistics['difficult']} difficult, {statistics['crowd']} crowd)",
        "  image sizes in pixels: "
        + ", ".join(f"{size} ({number})" for size, number in statistics["image sizes"].items()),
    ]
    if statistics["boxes"]:
        sides = statistics["box sides"]
        low, middle, high = (f"{sides['width'][key]:g}×{sides['height'][key]:g}" for key in ("5%", "50%", "95%"))
        lines += [
            f"  objects at {imgsz} px: {shares}; width × height in pixels: 5% {low}, median {middle}, 95% {high}",
            f"  boxes of one pixel: {statistics['one pixel']}; "
            f"under two pixels at {imgsz} px: {statistics['under two pixels in training']}",
        ]
    return lines


def _class_table(splits: dict[str, dict[str, Any]], names: list[str]) -> list[str]:
    """Return lines with the boxes (and images) of each class in each split."""
    width = max([len(name) for name in names] + [5])
    lines = [f"{'class':<{width}}" + "".join(f"{split:>18}" for split in splits)]
    for name in names:
        cells = (statistics["classes"][name] for statistics in splits.values())
        lines.append(f"{name:<{width}}" + "".join(f"{cell['boxes']:>9} in {cell['images']:<5}" for cell in cells))
    return lines


def _remedy_lines(remedies: dict[str, Any]) -> list[str]:
    """Return what train.py could do about rare classes; nothing where there is one class, or none has boxes."""
    classes = {name: values for name, values in remedies["classes"].items() if values["part of images"]}
    if len(classes) < 2:
        return []
    rarest = sorted(classes, key=lambda name: classes[name]["part of images"])
    lines = [
        f"train.py --oversample {remedies['threshold']:g}: {remedies['samples']} samples an epoch of "
        f"{remedies['images']} images; --class-weights 1 weighs them alike in the loss; rarest classes:"
    ]
    for name in rarest[:_RAREST]:
        values = classes[name]
        lines.append(
            f"  {name}: in {values['part of images']:.1%} of the images, repeated {values['repeat factor']:.2f} times; "
            f"weight {values['class weight']:.2f}"
        )
    return lines
