"""Halve the validation split where there is no test split: one half chooses the checkpoint, the other measures."""

import hashlib
import os
import shutil
from pathlib import Path

from data import Dataset, Record, Split
from data.formats.writers import write_coco
from study.plan.data_fingerprint import split_fingerprint


def halve_validation(dataset: Dataset) -> Dataset:
    """Return the data set with val halved: the first half stays val, the second becomes test.

    An image's half depends on the hash of its file name, so that it stays the same wherever the data lie.

    Args:
        dataset: with train and val, of two images or more.
    """
    records = sorted(dataset["val"].records, key=lambda record: hashlib.sha256(record.path.name.encode()).digest())
    chosen = {id(record) for record in records[: len(records) // 2]}
    parts: dict[str, list[Record]] = {"val": [], "test": []}
    for record in dataset["val"]:
        parts["val" if id(record) in chosen else "test"].append(record)
    splits = {
        "train": dataset["train"],
        **{name: Split(name, part, channels=dataset.channels) for name, part in parts.items()},
    }
    return Dataset(dataset.name, dataset.names, dataset.format, splits, dataset.category_ids)


def write_halved(dataset: Dataset, folder: Path) -> Path:
    """Write such a data set in COCO's form, images linked, not copied.

    Args:
        dataset: from `halve_validation`.
        folder: to write to. What an earlier start wrote there is kept where it says the same, else replaced.

    Returns:
        The data YAML.
    """
    state = " ".join(f"{name} {split_fingerprint(split.records)}" for name, split in dataset.splits.items())
    mark = folder / "fingerprints.txt"
    if mark.is_file() and mark.read_text(encoding="utf-8") == state:
        return folder / "data.yaml"
    draft = folder.with_name(f".{folder.name}-{os.getpid()}")
    write_coco(dataset, draft, _link)
    (draft / mark.name).write_text(state, encoding="utf-8")
    if folder.exists():
        shutil.rmtree(folder)
    draft.rename(folder)
    return folder / "data.yaml"


def _link(record: Record, target: Path) -> None:
    try:
        target.symlink_to(record.path.resolve())
    except OSError:  # a file system or an account without links
        shutil.copyfile(record.path, target)
