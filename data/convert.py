"""python -m data.convert DATA.yaml OUT --to yolo|voc|coco: the same data set in another format, in a new folder."""

import shutil
import sys
from argparse import Namespace
from collections import Counter
from pathlib import Path

from data.errors import DataError, guarded
from data.formats.writers import WRITERS, PutImage
from data.loading import load_dataset
from data.records import Dataset, Record
from data.tool_parser import ToolParser

IMAGES = ("copy", "link")


def convert(dataset: Dataset, out: Path, form: str, images: str = "copy") -> dict[str, int]:
    """Write a data set in another format.

    Args:
        dataset: what to write.
        out: a folder that does not exist yet or is empty.
        form: "yolo", "voc" or "coco".
        images: "copy" them or make symbolic "link"s.

    Returns:
        What the format cannot hold → how often that occurred; empty if nothing was lost.

    Raises:
        DataError: if the folder holds something or cannot be written.
    """
    if form not in WRITERS:
        raise DataError(f"format {form!r} is unknown; write one of {', '.join(WRITERS)}")
    if images not in IMAGES:
        raise DataError(f"images={images!r}; write one of {', '.join(IMAGES)}")
    return write_dataset(dataset, out, form, _link if images == "link" else _copy)


def write_dataset(dataset: Dataset, out: Path, form: str, put_image: PutImage) -> dict[str, int]:
    """Convert with a function that puts the images into the new folder."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        if any(out.iterdir()):
            raise DataError(f"{out}: is not empty; name a new folder")
        losses = WRITERS[form](dataset, out, put_image)
        losses += sum((split.not_kept for split in dataset.splits.values()), Counter())
    except OSError as error:
        raise DataError(f"{out}: cannot be written: {error.strerror or error}") from None
    return {what: number for what, number in losses.items() if number}


def _copy(record: Record, target: Path) -> None:
    shutil.copyfile(record.path, target)


def _link(record: Record, target: Path) -> None:
    try:
        target.symlink_to(record.path)
    except OSError:  # a file system without links, or an account of Windows that may make none
        _copy(record, target)


def main(argv: list[str] | None = None) -> int:
    """Run the command line."""
    parser = ToolParser(prog="python -m data.convert", description=__doc__)
    parser.add_argument("data", help="data YAML, or the name of an included one")
    parser.add_argument("out", type=Path, help="new folder; its data.yaml reads the result")
    parser.add_argument("--to", required=True, choices=list(WRITERS), help="format to write")
    parser.add_argument(
        "--images", choices=IMAGES, default="copy", help="copy the images or link to them (default: copy)"
    )
    parser.add_argument("--data-root", help="the data set's folder, instead of the YAML's path")
    parser.add_argument("--download", action="store_true", help="fetch the data if they are not there")
    args = parser.parse_args(argv)
    return guarded(lambda: _run(args))


def _run(args: Namespace) -> int:
    """Convert, and print what was read and what the format cannot hold."""
    dataset = load_dataset(args.data, data_root=args.data_root, download=args.download)
    losses = convert(dataset, args.out, args.to, args.images)
    print(dataset.summary())  # noqa: T201
    for what, number in losses.items():
        print(f"{args.to} cannot hold: {what}: {number}")  # noqa: T201
    print(f"Written to {args.out / 'data.yaml'}")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
