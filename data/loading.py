"""Load a data set: any data YAML → Dataset."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from data.cache import probe_cached
from data.config import DataConfig, Source, read_config
from data.download import fetch, is_missing
from data.errors import DataError
from data.formats import coco, voc, yolo
from data.formats.recognition import recognise_format
from data.formats.yolo import Probe
from data.image_files.image_probe import ImageMetadata
from data.records import Dataset, Split

_WITH_BAR = 2000  # images from which on a progress bar is worth its line


def load_dataset(
    source: str | Path | Mapping[str, Any] | DataConfig,
    split: str | None = None,
    data_root: str | Path | None = None,
    *,
    download: bool = False,
    single_class: bool = False,
) -> Dataset:
    """Read a data set into memory: class names, and per image its path, size and boxes.

    Nothing is written beside the user's files. Faulty boxes are repaired or dropped one by one, unusable images are
    skipped, and each case is an Issue of its split.

    Args:
        source: a data YAML, the name of an included one ("digits", "bccd"), a folder with one, a VOC tree, the
            YAML's content as a mapping, or a DataConfig.
        split: "train", "val" or "test" to read only that; None for all that the YAML has.
        data_root: the data set's folder, instead of the YAML's `path`.
        download: fetch the data if they are missing and the YAML says from where.
        single_class: classes are going to be one: boxes of classes that the YAML does not name are kept as the first.

    Returns:
        The data set; `.records` and `.issues` run over the splits that were read, `dataset["val"]` is one of them.

    Raises:
        DataError: one line naming file, key and remedy.
    """
    config = source if isinstance(source, DataConfig) else read_config(source, data_root)
    wanted = list(config.splits) if split is None else [split]
    sources = {name: config.sources(name) for name in wanted}
    provide(config, wanted, download)
    form, note = (config.format, None) if config.format else recognise_format(config)
    names, reader = _reader(config, form, single_class)
    splits: dict[str, Split] = {}
    category_ids: dict[int, int] = {}
    for name in wanted:
        splits[name], ids = reader(name, sources[name])
        splits[name].channels = config.channels
        category_ids |= ids
    if note is not None:
        splits[wanted[0]].issues.insert(0, note)
    return Dataset(config.name, dict(enumerate(names)), form, splits, category_ids)


def _reader(config: DataConfig, form: str, single_class: bool) -> tuple[tuple[str, ...], Any]:
    """Return class names, and a function (split, sources) → (Split, category ids)."""
    everything = [source for entries in config.splits.values() for source in entries]
    probe: Probe = partial(_probe_with_bar, channels=config.channels)
    if form == "coco":
        names = config.names or tuple(dict.fromkeys(coco.find_categories(everything).values()))
        return names, partial(coco.read_split, names=names, root=config.root, probe=probe, single_class=single_class)
    if form == "voc":
        names = config.names or voc.find_classes(everything)
        if not names:
            raise DataError(f"{config.file}: no objects in its XML files; write names: in the data YAML")

        def read_voc(name: str, sources: Sequence[Source]) -> tuple[Split, dict[int, int]]:
            return voc.read_split(name, sources, names, config.corners, probe, single_class=single_class), {}

        return names, read_voc
    if config.names is None:
        raise DataError(f"{config.file}: key 'names' is missing; write names: [first class, second class, …]")
    given = config.names

    def read_yolo(name: str, sources: Sequence[Source]) -> tuple[Split, dict[int, int]]:
        more: dict[str, Any] = {"arrays": config.channels != 3, "conf_thres": config.conf_thres}
        return yolo.read_split(name, sources, given, config.root, probe, single_class=single_class, **more), {}

    return given, read_yolo


def provide(config: DataConfig, splits: Sequence[str], download: bool = False) -> None:
    """Make the embedded data set or fetch missing data.

    Raises:
        DataError: if the files of these splits do not exist and nothing was fetched.
    """
    if config.generate == "digits":
        from data.digits import ensure

        ensure(config.root)
    else:
        fetch(config, download, missing=is_missing(config, splits))


def _probe_with_bar(paths: Sequence[Path], channels: int = 3) -> list[ImageMetadata]:
    if len(paths) < _WITH_BAR:
        return probe_cached(paths, channels=channels)
    from tqdm import tqdm

    with tqdm(total=len(paths), desc="Checking images", unit="img", disable=None) as bar:
        return probe_cached(paths, bar.update, channels)
