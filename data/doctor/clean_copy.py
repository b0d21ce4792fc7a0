"""Write a cleaned copy of a data set: what --fix of the doctor writes."""

import shutil
from dataclasses import replace
from pathlib import Path

from data.convert import write_dataset
from data.records import Dataset, Issue, Record

_KEEP_FIRST = ("val", "test", "train")  # of an image in two splits the first of these keeps it: train loses it
_JPEG_END = b"\xff\xd9"


def write_clean(
    dataset: Dataset,
    issues: list[tuple[str, Issue]],
    groups: list[list[tuple[str, Path]]],
    out: Path,
    form: str | None = None,
) -> list[str]:
    """Write a copy without the faults that can be mended; the source is only read.

    Boxes are as repaired on reading; unusable images are left out; of several that show the same one stays, in val
    before test before train; suffixes say what the files are; JPEGs get the end marker that they lack.

    Args:
        dataset: as read.
        issues: (split, issue) of the doctor.
        groups: (split, file) of the images that show the same.
        out: new folder.
        form: format to write; None keeps the data set's.

    Returns:
        What was done and what the format cannot hold, as lines.

    Raises:
        DataError: if the folder holds something or cannot be written.
    """
    dropped = {(name, issue.file): issue.message for name, issue in issues if issue.kind == "unreadable"}
    for members in groups:
        ranked = sorted(members, key=lambda member: _KEEP_FIRST.index(member[0]))
        dropped |= {member: f"shows the same as {ranked[0][1]} of {ranked[0][0]}" for member in ranked[1:]}
    endless = {issue.file for _, issue in issues if issue.kind == "no-end-marker"}

    def copy_image(record: Record, target: Path) -> None:
        shutil.copyfile(record.path, target)
        if record.path in endless:
            with target.open("ab") as file:
                file.write(_JPEG_END)

    splits = {
        name: replace(split, records=[record for record in split if (name, record.path) not in dropped], issues=[])
        for name, split in dataset.splits.items()
    }
    losses = write_dataset(replace(dataset, splits=splits), out, form or dataset.format, copy_image)
    left_out = {(name, record.path) for name, split in dataset.splits.items() for record in split} & dropped.keys()
    lines = [f"left out of {name}: {path}: {dropped[name, path]}" for name, path in sorted(left_out)]
    kept = {record.path for split in splits.values() for record in split}
    lines += [f"end marker added: {path}" for path in sorted(endless & kept)]
    return lines + [f"cannot be held: {what}: {number}" for what, number in losses.items()]
