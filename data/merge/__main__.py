"""python -m data.merge A.yaml B.yaml --out C: one data set of two, in a new folder; where labels differ, A's stand."""

import csv
import sys
from argparse import Namespace
from pathlib import Path

from data.convert import IMAGES, convert
from data.errors import DataError, guarded
from data.formats.writers import WRITERS
from data.loading import load_dataset
from data.merge.join import Conflict, Joined, join
from data.tool_parser import ToolParser

LISTED = 10  # conflicts named one by one; a table has all


def main(argv: list[str] | None = None) -> int:
    """Run the command line; exit code 0, or 2 if a data set cannot be read or the folder not be written."""
    args = _parser().parse_args(argv)
    return guarded(lambda: _run(args))


def _run(args: Namespace) -> int:
    """Join, write and print what became of the second data set.

    Raises:
        DataError: if a data set cannot be read, or the folder not be written.
    """
    if not 0 < args.iou_thres <= 1:
        raise DataError(f"--iou-thres {args.iou_thres:g}: write an overlap above 0 and up to 1")
    joined = join(load_dataset(args.first), load_dataset(args.second), args.iou_thres)
    losses = convert(joined.dataset, args.out, args.to, args.images)
    if joined.conflicts:
        _write_table(joined.conflicts, args.out / "conflicts.csv")
    lines = [*_lines(joined, args.out), *(f"{args.to} cannot hold: {what}: {n}" for what, n in losses.items())]
    print("\n".join([*lines, f"Written to {args.out / 'data.yaml'}"]))  # noqa: T201
    return 0


def _lines(joined: Joined, out: Path) -> list[str]:
    lines = [joined.dataset.summary(), *(f"{what}: {number}" for what, number in joined.counts.items())]
    for conflict in joined.conflicts[:LISTED]:
        lines.append(
            f"conflict: {conflict.file}: {conflict.name} and {conflict.other}, IoU {conflict.iou:.2f}; "
            f"{conflict.name} kept"
        )
    if joined.conflicts:
        lines.append(f"conflicts: {len(joined.conflicts)}, all of them in {out / 'conflicts.csv'}")
    return lines


def _write_table(conflicts: list[Conflict], path: Path) -> None:
    header = ["image", "split", "class", "other class", "iou"]
    header += [f"{which}{edge}" for which in ("", "other ") for edge in ("x1", "y1", "x2", "y2")]
    with path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        rows = csv.writer(file)
        rows.writerow(header)
        for one in conflicts:
            corners = [f"{value:.2f}" for value in (*one.box_xyxy, *one.other_xyxy)]
            rows.writerow([one.file, one.split, one.name, one.other, f"{one.iou:.4f}", *corners])


def _parser() -> ToolParser:
    parser = ToolParser(prog="python -m data.merge", description=__doc__)
    parser.add_argument(
        "first", metavar="A", help="data set whose labels stand: a YAML, or the name of an included one"
    )
    parser.add_argument("second", metavar="B", help="the other, such as one that detect.py --save-dataset wrote")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="C", help="new folder; its data.yaml reads the result"
    )
    parser.add_argument(
        "--iou-thres", "--iou", type=float, default=0.5, help="overlap of boxes of one object (default: 0.5)"
    )
    parser.add_argument("--to", choices=list(WRITERS), default="yolo", help="format to write (default: yolo)")
    parser.add_argument(
        "--images", choices=IMAGES, default="copy", help="copy the images or link to them (default: copy)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
