"""Fetch data sets, only when the user says so: a line that says what, a progress bar, checksums, no scripts."""

import json
import shutil
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from tarfile import TarError
from urllib.error import URLError
from zipfile import BadZipFile

from data.cache import write_atomically
from data.config import DataConfig
from data.errors import DataError
from data.files import file_hash
from data.folders import cache_folder
from data.http_file import download_file


@dataclass(frozen=True, slots=True)
class Archive:
    """A file to fetch and unpack.

    Args:
        url: where it is.
        md5: its published checksum; None where none is known.
        into: folder below the data set's root that it is unpacked into.
        skip_top: whether a single top folder inside is left out.
        gives: files or folders below the root; where one of them exists the archive is not fetched again.
    """

    url: str
    md5: str | None = None
    into: str = "."
    skip_top: bool = False
    gives: tuple[str, ...] = ()


_COCO = "http://images.cocodataset.org"
_SIZES = {"voc": "2.8 GB", "coco": "20.4 GB", "coco128": "7 MB"}
_KNOWN = {
    "coco": [
        Archive(
            f"{_COCO}/annotations/annotations_trainval2017.zip",
            "f4bbac642086de4f52a3fdda2de5fa2c",
            gives=("annotations/instances_train2017.json",),
        ),
        Archive(
            f"{_COCO}/zips/val2017.zip",
            "442b8da7639aecaf257c1dceb8ba8c80",
            "images",
            gives=("images/val2017", "val2017"),
        ),
        Archive(
            f"{_COCO}/zips/train2017.zip",
            "cced6f7f71b7629ddf16f17bbcfab6b2",
            "images",
            gives=("images/train2017", "train2017"),
        ),
    ],
    "coco128": [
        Archive(
            "https://github.com/ultralytics/assets/releases/download/v0.0.0/coco128.zip",
            skip_top=True,
            gives=("images/train2017",),
        )
    ],
}


def fetch(config: DataConfig, allowed: bool, missing: bool = True) -> None:
    """Fetch a missing data set, or say how to.

    Args:
        config: its YAML.
        allowed: whether the user asked for it with --download.
        missing: whether what is wanted now is not there; otherwise only archives not fetched yet are completed.

    Raises:
        DataError: if it was not asked for, cannot be fetched, or a checksum differs.
    """
    if not missing and (not allowed or _size(config.download or "") is None):
        return
    put = f"put the data in {config.root} or name their folder with --data-root"
    if config.download is None:
        raise DataError(f"{config.file}: its data are not there ({_first_missing(config)}); {put}")
    size = _size(config.download)
    if size is None:
        raise DataError(f"{config.file}: its data are not there; its download entry is a script, never run here; {put}")
    if not allowed:
        raise DataError(f"{config.file}: its data are not there; {put}, or fetch them with --download ({size})")
    for archive in plan(config):
        there = any((config.root / path).exists() for path in archive.gives) if archive.gives else not missing
        if not there:
            _fetch_one(archive, config.root)


def _size(entry: str) -> str | None:
    """Return what a user should know before saying --download; None for a script."""
    entry_text = entry.strip()
    if entry_text.startswith(("https://", "http://")) and len(entry_text.split()) == 1:
        return f"from {entry_text[:200]}"
    return _SIZES.get(entry_text)


def plan(config: DataConfig) -> list[Archive]:
    """Return what --download fetches; nothing for a script."""
    entry_text = (config.download or "").strip()
    if entry_text == "voc":
        from torchvision.datasets.voc import DATASET_YEAR_DICT  # torchvision keeps addresses and checksums current

        lists = {"2007": "VOC2007/ImageSets/Main/trainval.txt", "2007-test": "VOC2007/ImageSets/Main/test.txt"}
        lists["2012"] = "VOC2012/ImageSets/Main/trainval.txt"
        years = {key: DATASET_YEAR_DICT[key] for key in lists}
        return [Archive(year["url"], year["md5"], gives=(f"VOCdevkit/{lists[key]}",)) for key, year in years.items()]
    if entry_text in _KNOWN:
        return _KNOWN[entry_text]
    return [Archive(entry_text, skip_top=True)] if _size(entry_text) else []


def is_missing(config: DataConfig, splits: Iterable[str]) -> bool:
    """Tell whether a path of these splits is missing. VOC's short forms count as existing when their tree does."""
    for split in splits:
        for source in config.sources(split):
            path = source.annotations or source.path or config.root
            tree = path.parent / "ImageSets"  # place may be TREE/train, short for TREE/ImageSets/Main/train.txt
            if not (path.exists() or tree.is_dir() or any(letter in str(path) for letter in "*?[")):
                return True
    return False


def _first_missing(config: DataConfig) -> Path:
    paths = [source.annotations or source.path for entries in config.splits.values() for source in entries]
    return next((path for path in paths if path is not None and not path.exists()), config.root)


def _fetch_one(archive: Archive, root: Path) -> None:
    """Fetch, check and unpack one archive; what is left of a broken attempt is removed."""
    from torchvision.datasets.utils import extract_archive

    name = archive.url.rsplit("/", 1)[-1].split("?")[0] or "archive.zip"
    print(f"Fetching {archive.url} → {root}", file=sys.stderr)  # noqa: T201
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".download-", dir=root) as folder:
            file = Path(folder) / name
            download_file(archive.url, file, label=name)
            verify(archive, file)
            content = Path(folder) / "content"
            extract_archive(str(file), str(content), remove_finished=True)
            inside = list(content.iterdir())
            if archive.skip_top and len(inside) == 1 and inside[0].is_dir():
                content = inside[0]
            shutil.copytree(content, root / archive.into, dirs_exist_ok=True, copy_function=shutil.move)
    except (URLError, OSError, RuntimeError, ValueError, TarError, BadZipFile) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{archive.url}: cannot be fetched: {' '.join(str(error).split())[:200]}") from None


def verify(archive: Archive, file: Path) -> None:
    """Compare a fetched file with its published checksum, or with the one of the last time.


    Raises:
        DataError: if it differs.
    """
    if archive.md5:
        checksum = file_hash(file, "md5")
        if checksum != archive.md5:
            wrong = f"MD5 is {checksum}, should be {archive.md5}"
            raise DataError(f"{archive.url}: {wrong}; the file is damaged or replaced; try again")
        return
    checksum = file_hash(file, "sha256")
    memory = cache_folder() / "checksums.json"
    known = json.loads(memory.read_text(encoding="utf-8")) if memory.is_file() else {}
    if known.get(archive.url, checksum) != checksum:
        raise DataError(
            f"{archive.url}: SHA-256 is {checksum}, last time {known[archive.url]}: the file is damaged or replaced; "
            f"if it was meant to be replaced, take its line out of {memory}"
        )
    print(f"SHA-256 {checksum} (no published one to compare with; remembered)", file=sys.stderr)  # noqa: T201
    write_atomically(memory, json.dumps({**known, archive.url: checksum}, indent=1).encode())
