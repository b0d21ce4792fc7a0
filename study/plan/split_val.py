"""Halve the validation split where there is no test split: one half chooses the checkpoint, the other measures."""

import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from data import Dataset, Record, Split
from data.formats.writers import write_coco
from data.originals import original_of
from study.plan.data_fingerprint import split_fingerprint


def halve_validation(dataset: Dataset, originals: str | None = None) -> Dataset:
    """Return the data set with val halved: the first half stays val, the second becomes test.

    An image's half depends on the hash of its file name, so that it stays the same wherever the data lie. Tiles and
    frames stay with their original as long as there is more than one.

    Args:
        dataset: with train and val, of two images or more.
        originals: pattern of the data YAML.
    """
    chosen = _first_half(dataset["val"].records, originals)
    parts: dict[str, list[Record]] = {"val": [], "test": []}
    for record in dataset["val"]:
        parts["val" if id(record) in chosen else "test"].append(record)
    splits = {
        "train": dataset["train"],
        **{name: Split(name, part, channels=dataset.channels) for name, part in parts.items()},
    }
    return Dataset(dataset.name, dataset.names, dataset.format, splits, dataset.category_ids)


def _first_half(records: Sequence[Record], pattern: str | None) -> set[int]:
    """Return the ids (of objects) of the records of the first half."""
    together: dict[str, list[Record]] = {}
    for record in records:
        together.setdefault(original_of(record.path, pattern) if pattern else str(record.path), []).append(record)
    if len(together) == 1:
        together = {str(record.path): [record] for record in records}
    keys = {name: min(record.path.name for record in some) for name, some in together.items()}
    ordered = sorted(together, key=lambda name: hashlib.sha256(keys[name].encode()).digest())
    chosen: list[Record] = []
    for name in ordered[:-1]:
        if len(chosen) + len(together[name]) > len(records) // 2 and chosen:
            break
        chosen += together[name]
    return set(map(id, chosen))


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
