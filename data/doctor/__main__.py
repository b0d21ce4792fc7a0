"""python -m data.doctor DATA.yaml: what is in a data set, and what is wrong with it."""

import argparse
import json
import sys
from pathlib import Path

from data.cache import write_atomically
from data.doctor.clean_copy import write_clean
from data.doctor.contact_sheet import write_overlay
from data.doctor.examine import doctor
from data.errors import DataError, guarded
from data.tool_parser import ToolParser


def main(argv: list[str] | None = None) -> int:
    """Run the command line; exit code 0, 1 when --strict finds problems, 2 when the data set cannot be read."""
    args = _parser().parse_args(argv)
    return guarded(lambda: _run(args))


def _run(args: argparse.Namespace) -> int:
    """Print the report, write what is asked for and return the exit code."""
    report = doctor(
        args.data,
        args.data_root,
        imgsz=args.imgsz,
        anchors=args.anchors,
        decode=not args.no_decode,
        progress=True,
        workers=args.workers,
        download=args.download,
        oversample=args.oversample,
    )
    print(report.text(examples=sys.maxsize if args.all else 3))  # noqa: T201
    if args.json:
        _write_json(args.json, json.dumps(report.to_dict(), indent=1, ensure_ascii=False))
    if args.overlay:
        number = write_overlay(report.dataset, args.overlay)
        print(f"{number} images with labels: {args.overlay}")  # noqa: T201
    if args.fix:
        lines = write_clean(report.dataset, report.issues, report.groups, args.fix, args.to)
        print("\n".join([*lines, f"Cleaned copy: {args.fix / 'data.yaml'}"]))  # noqa: T201
    return 1 if args.strict and report.problems else 0


def _write_json(path: Path, text: str) -> None:
    """Write the file of --json.

    Raises:
        DataError: naming the file, not the temporary one beside it.
    """
    try:
        write_atomically(path, text.encode(errors="backslashreplace"))  # as JSON escapes what is not UTF-8
    except OSError as error:
        raise DataError(f"--json {path}: cannot be written ({error.strerror or error})") from None


def _parser() -> argparse.ArgumentParser:
    parser = ToolParser(prog="python -m data.doctor", description=__doc__)
    parser.add_argument("data", help="data YAML, or the name of an included one")
    parser.add_argument("--data-root", help="the data set's folder, instead of the YAML's path")
    parser.add_argument(
        "--imgsz", type=int, default=640, help="training resolution for object sizes and anchors (default: 640)"
    )
    parser.add_argument("--anchors", help="model YAML whose anchors are judged (default: YOLOv5's)")
    parser.add_argument(
        "--oversample",
        type=float,
        default=0.1,
        metavar="THRESHOLD",
        help="say what train.py's --oversample and --class-weights would do with this threshold (default: 0.1)",
    )
    parser.add_argument("--strict", action="store_true", help="exit code 1 if there are problems")
    parser.add_argument("--json", type=Path, help="write everything found to this file")
    parser.add_argument("--all", action="store_true", help="print every issue, not three of a kind")
    parser.add_argument("--overlay", type=Path, help="write a sheet of sample images with their labels")
    parser.add_argument("--fix", type=Path, metavar="OUT", help="write a cleaned copy to this new folder")
    parser.add_argument("--to", choices=("yolo", "voc", "coco"), help="format of the cleaned copy (default: the same)")
    parser.add_argument("--no-decode", action="store_true", help="skip the comparison of decoded images")
    parser.add_argument("--workers", type=int, help="threads that decode (default: two a core, at most 8)")
    parser.add_argument("--download", action="store_true", help="fetch the data if they are not there")
    return parser


if __name__ == "__main__":
    sys.exit(main())
