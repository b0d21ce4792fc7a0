"""Fetching data sets, only when the user says so: a line that says what, a progress bar, checksums, no scripts."""

import hashlib
import json
import shutil
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError

from data.config import DataConfig
from data.errors import DataError
from data.storage import cache_folder, write_atomically


@dataclass(frozen=True, slots=True)
class Archive:
    """A file to fetch and unpack.

    Args:
        url: where it is.
        md5: its published checksum; None where none is known.
        into: folder below the data set's root that it is unpacked into.
        skip_top: whether a single top folder inside is left out.
    """

    url: str
    md5: str | None = None
    into: str = "."
    skip_top: bool = False


_COCO = "http://images.cocodataset.org"
_KNOWN = {
    "coco": (
        "20.4 GB",
        [
            Archive(f"{_COCO}/annotations/annotations_trainval2017.zip", "f4bbac642086de4f52a3fdda2de5fa2c"),
            Archive(f"{_COCO}/zips/val2017.zip", "442b8da7639aecaf257c1dceb8ba8c80", "images"),
            Archive(f"{_COCO}/zips/train2017.zip", "cced6f7f71b7629ddf16f17bbcfab6b2", "images"),
        ],
    ),
    "coco128": (
        "7 MB",
        [Archive("https://github.com/ultralytics/assets/releases/download/v0.0.0/coco128.zip", skip_top=True)],
    ),
}


def fetch(config: DataConfig, allowed: bool) -> None:
    """Fetch a missing data set, or say how to.

    Args:
        config: its YAML.
        allowed: whether the user asked for it with --download.

    Raises:
        DataError: if it was not asked for, cannot be fetched, or a checksum differs.
    """
    put = f"put the data in {config.root} or name their folder with --data-root"
    if config.download is None:
        raise DataError(f"{config.file}: its data are not there ({_first_missing(config)}); {put}")
    size, archives = plan(config)
    if not archives:
        raise DataError(f"{config.file}: its data are not there; its download entry is a script, never run here; {put}")
    if not allowed:
        raise DataError(f"{config.file}: its data are not there; {put}, or fetch them with --download ({size})")
    for archive in archives:
        _fetch_one(archive, config.root)


def plan(config: DataConfig) -> tuple[str, list[Archive]]:
    """What --download would fetch: its size in words, and the archives; none for a script."""
    word = (config.download or "").strip()
    if word == "voc":
        from torchvision.datasets.voc import DATASET_YEAR_DICT  # torchvision keeps addresses and checksums current

        years = [DATASET_YEAR_DICT[year] for year in ("2007", "2007-test", "2012")]
        return "2.8 GB", [Archive(year["url"], year["md5"]) for year in years]
    if word in _KNOWN:
        return _KNOWN[word]
    if word.startswith(("https://", "http://")) and len(word.split()) == 1:
        return f"from {word[:200]}", [Archive(word, skip_top=True)]
    return "", []


def is_missing(config: DataConfig, splits: Iterable[str]) -> bool:
    """Whether a place of these splits does not exist. VOC's short forms count as existing when their tree does."""
    for split in splits:
        for source in config.sources(split):
            place = source.annotations or source.path or config.root
            tree = place.parent / "ImageSets"  # place may be TREE/train, short for TREE/ImageSets/Main/train.txt
            if not (place.exists() or tree.is_dir() or any(letter in str(place) for letter in "*?[")):
                return True
    return False


def _first_missing(config: DataConfig) -> Path:
    places = [source.annotations or source.path for entries in config.splits.values() for source in entries]
    return next((place for place in places if place is not None and not place.exists()), config.root)


def _fetch_one(archive: Archive, root: Path) -> None:
    """Fetch, check and unpack one archive; what is left of a broken attempt is removed."""
    from torch.hub import download_url_to_file
    from torchvision.datasets.utils import extract_archive

    name = archive.url.rsplit("/", 1)[-1].split("?")[0] or "archive.zip"
    print(f"Fetching {archive.url} → {root}", file=sys.stderr)  # noqa: T201
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".download-", dir=root) as folder:
            file = Path(folder) / name
            download_url_to_file(archive.url, str(file))
            verify(archive, file)
            content = Path(folder) / "content"
            extract_archive(str(file), str(content), remove_finished=True)
            inside = list(content.iterdir())
            if archive.skip_top and len(inside) == 1 and inside[0].is_dir():
                content = inside[0]
            shutil.copytree(content, root / archive.into, dirs_exist_ok=True, copy_function=shutil.move)
    except (URLError, OSError, RuntimeError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{archive.url}: cannot be fetched: {' '.join(str(error).split())[:200]}") from None


def verify(archive: Archive, file: Path) -> None:
    """Compare a fetched file with its published checksum, or with the one of the last time.

    Raises:
        DataError: if it differs.
    """
    if archive.md5:
        found = _digest(file, "md5")
        if found != archive.md5:
            raise DataError(f"{archive.url}: MD5 is {found}, should be {archive.md5}; the file is damaged or replaced")
        return
    found = _digest(file, "sha256")
    memory = cache_folder() / "checksums.json"
    known = json.loads(memory.read_text(encoding="utf-8")) if memory.is_file() else {}
    if known.get(archive.url, found) != found:
        raise DataError(f"{archive.url}: SHA-256 is {found}, last time {known[archive.url]}; see {memory}")
    print(f"SHA-256 {found} (no published one to compare with; remembered)", file=sys.stderr)  # noqa: T201
    write_atomically(memory, json.dumps({**known, archive.url: found}, indent=1).encode())


def _digest(file: Path, kind: str) -> str:
    digest = hashlib.new(kind, usedforsecurity=False)
    with file.open("rb") as handle:
        while block := handle.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
