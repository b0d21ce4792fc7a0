"""Find duplicate images by what they show: duplicates within a split, and the same image in two splits."""

import hashlib
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np

from data.image_files import image_channels
from data.image_files.image_probe import in_threads
from data.records import Dataset, Issue


@dataclass(slots=True)
class Repeats:
    """Issues and groups of images that occur more than once.

    Args:
        issues: (split, issue) of kind "unreadable", "duplicate" (in the same split), "two-splits" and "same-splits".
        groups: (split, file) of the images that show the same, two or more in each group.
    """

    issues: list[tuple[str, Issue]] = field(default_factory=list)
    groups: list[list[tuple[str, Path]]] = field(default_factory=list)


def fingerprint(path: Path, channels: int = 3) -> bytes | None:
    """Return a digest of the decoded image, as `image_channels.read` shows it; None if it does not decode."""
    shown = image_channels.read(path, channels)
    if shown is None:
        return None
    digest = hashlib.blake2b(str(shown.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(shown).data)
    return digest.digest()


def find_duplicates(
    dataset: Dataset, progress: Callable[[int], object] | None = None, workers: int | None = None
) -> Repeats:
    """Decode every image once; find those that do not decode and those that occur again.

    Two splits that are the same list of files (VOC's val and test, COCO128's train and val) count as one finding.
    """
    repeats = Repeats()
    paths = list(dict.fromkeys(record.path for record in dataset))
    read = partial(fingerprint, channels=dataset.channels)
    digests = dict(zip(paths, in_threads(read, paths, progress, workers), strict=True))
    same = _same_splits(dataset, repeats)
    shown_in: dict[bytes, list[tuple[str, Path]]] = defaultdict(list)
    for name, split in dataset.splits.items():
        for record in split:
            digest = digests[record.path]
            if digest is None:
                issue = Issue(record.path, None, "unreadable", "its header is fine but it does not decode", "kept")
                repeats.issues.append((name, issue))
            elif name not in same:
                shown_in[digest].append((name, record.path))
    for members in shown_in.values():
        if len(members) > 1:
            repeats.groups.append(members)
            _report(members, repeats)
    return repeats


def _same_splits(dataset: Dataset, repeats: Repeats) -> set[str]:
    """Return the names of the splits that repeat an earlier one file by file; each leaves an issue."""
    files = {name: {record.path for record in split} for name, split in dataset.splits.items()}
    same = set()
    for first, second in combinations(dataset.splits, 2):
        if files[first] and files[first] == files[second] and second not in same:
            same.add(second)
            kind = "same-splits" if "train" not in (first, second) else "two-splits"
            text = f"{first} and {second} are the same {len(files[first])} images"
            repeats.issues.append((second, Issue(Path(dataset.name), None, kind, text, "kept")))
    return same


def _report(members: list[tuple[str, Path]], repeats: Repeats) -> None:
    first: dict[str, Path] = {}
    for name, path in members:
        if name in first:
            text = f"shows the same as {first[name]}"
            repeats.issues.append((name, Issue(path, None, "duplicate", text, "kept")))
        elif first:
            others = ", ".join(f"{other_path} of split {other}" for other, other_path in first.items())
            repeats.issues.append((name, Issue(path, None, "two-splits", f"shows the same as {others}", "kept")))
        first.setdefault(name, path)
