"""Read a data YAML into a DataConfig: what the file says, checked, paths resolved, nothing of the data read yet."""

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.errors import DataError
from data.folders import ROOT, expand_home
from data.image_files.image_channels import MAX_CHANNELS
from data.originals import pattern_fault
from data.yaml_reader import load_yaml, refuse_other_tasks, shown

SPLITS = ("train", "val", "test")
FORMATS = ("yolo", "voc", "coco")
CORNERS = ("plain", "devkit")


@dataclass(frozen=True, slots=True)
class Source:
    """One folder or file that a split is read from.

    Args:
        path: folder, list file or glob of images; for VOC a list of ids; for COCO the folder of images or None.
        annotations: the JSON file of COCO, else None.
    """

    path: Path | None
    annotations: Path | None = None


@dataclass(frozen=True, slots=True)
class DataConfig:
    """A data YAML, checked.

    Args:
        file: the YAML, or what stands for it in messages.
        name: its name without suffix.
        root: folder that relative entries refer to.
        splits: split → sources, for the splits that the file has.
        names: class names in order; None when they are to be read from the data (VOC, COCO).
        format: "yolo", "voc", "coco"; None when it is to be recognised.
        corners: how VOC corners are meant, see formats/voc.py.
        download: the `download` entry as written; never executed.
        generate: name of an embedded data set that can be made on the spot.
        channels: of its images.
        conf_thres: confidence from which rows of label files that have one are used; None uses none of them.
        originals: pattern of image names that says which images are tiles or frames of one original, see originals.py.
    """

    file: Path
    name: str
    root: Path
    splits: dict[str, tuple[Source, ...]]
    names: tuple[str, ...] | None
    format: str | None = None
    corners: str = "plain"
    download: str | None = None
    generate: str | None = None
    channels: int = 3
    conf_thres: float | None = None
    originals: str | None = None

    def sources(self, split: str) -> tuple[Source, ...]:
        """Return the sources of a split.

        Raises:
            DataError: if the file does not have it.
        """
        if split not in self.splits:
            have = ", ".join(self.splits)
            raise DataError(f"{self.file}: key '{split}' is missing (it has {have}); write {split}: FOLDER or LIST.txt")
        return self.splits[split]


def read_config(source: str | Path | Mapping[str, Any], data_root: str | Path | None = None) -> DataConfig:
    """Read and check a data YAML.

    Args:
        source: path of a YAML, name of one in data/ ("digits", "bccd.yaml"), a folder that holds one (or a PASCAL VOC
            tree), or the content as a mapping.
        data_root: replaces the file's `path`.

    Raises:
        DataError: one line naming the file, the key and what to write.
    """
    if isinstance(source, Mapping):
        return _build(dict(source), Path("<data>"), data_root)
    file = find_yaml(source)
    return _build(_folder_content(file) if file.is_dir() else load_yaml(file), file, data_root)


def find_yaml(source: str | Path) -> Path:
    """Return the YAML (or VOC folder) that a user means by a path or a name.

    Raises:
        DataError: if there is none.
    """
    if not isinstance(source, str | os.PathLike):
        raise DataError(f"data: a {type(source).__name__} is no data set; give a YAML, a folder or the name of one")
    given = expand_home(source)
    name = given.name if given.suffix in (".yaml", ".yml") else f"{given.name}.yaml"
    candidates = (given, ROOT / given)
    for candidate in (*candidates, *((ROOT / "data" / name,) if len(given.parts) == 1 else ())):
        if candidate.is_file():
            return candidate
    for folder in candidates:
        if folder.is_dir():
            inside = sorted(path for path in folder.glob("*.y*ml") if path.suffix in (".yaml", ".yml"))
            if len(inside) == 1:
                return inside[0]
            if any((folder / name).is_dir() for name in ("Annotations", "annotations")):
                return folder
            raise DataError(f"{folder}: folder with {len(inside) or 'no'} YAML files; name the data YAML itself")
    other = given.with_suffix(".yml" if given.suffix == ".yaml" else ".yaml")
    if given.suffix in (".yaml", ".yml") and other.is_file():
        raise DataError(f"{source}: no such data YAML; did you mean {other}?")
    known = sorted(path.stem for path in (ROOT / "data").glob("*.yaml"))
    near = difflib.get_close_matches(given.stem, known, 1)
    hint = f"; did you mean {near[0]}?" if near else f"; the included ones are {', '.join(known)}"
    raise DataError(f"{source}: no such data YAML{hint}")


def _folder_content(folder: Path) -> dict[str, Any]:
    """Return what a YAML for a bare VOC tree would say."""
    lists = folder / "ImageSets" / "Main"
    splits: dict[str, Any] = {name: name for name in SPLITS if (lists / f"{name}.txt").is_file()}
    return {"path": str(folder), "format": "voc", **(splits or {"train": "."})}


def _build(content: dict[str, Any], file: Path, data_root: str | Path | None) -> DataConfig:
    refuse_other_tasks(content, file)
    form = _choice(content, file, "format", FORMATS)
    root = _root(content, file, data_root)
    splits = _splits(content, file, root)
    names = _names(content, file)
    if form in ("voc", "coco") and names and len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(
            f"{file}: key 'names': {twice!r} stands there twice, but {form} refers to classes by name; write it once"
        )
    download = content.get("download")
    return DataConfig(
        file=file,
        name=file.stem if file != Path("<data>") else "data",
        root=root,
        splits=splits,
        names=names,
        format=form,
        corners=_choice(content, file, "corners", CORNERS) or "plain",
        download=download if isinstance(download, str) and download.strip() else None,
        generate=_choice(content, file, "generate", ("digits",)),
        channels=_channels(content, file),
        conf_thres=_conf_thres(content, file),
        originals=_originals(content, file),
    )


def _channels(content: dict[str, Any], file: Path) -> int:
    value = content.get("channels", 3)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_CHANNELS:
        raise DataError(f"{file}: key 'channels' is {shown(value)}; write 1 (grey), 3 (colour) or another number")
    return value


def _conf_thres(content: dict[str, Any], file: Path) -> float | None:
    value = content.get("conf_thres")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise DataError(f"{file}: key 'conf_thres' is {shown(value)}; write a confidence from 0 to 1, such as 0.5")
    return float(value)


def _originals(content: dict[str, Any], file: Path) -> str | None:
    value = content.get("originals")
    fault = None if value is None else pattern_fault(value)
    if fault is not None:
        raise DataError(f"{file}: key 'originals' is {shown(value)}; {fault}")
    return value


def _choice(content: dict[str, Any], file: Path, key: str, allowed: tuple[str, ...]) -> str | None:
    value = content.get(key)
    if value is None:
        return None
    if not isinstance(value, str) or value.lower() not in allowed:
        raise DataError(f"{file}: key '{key}' is {shown(value)}; write one of {', '.join(allowed)}")
    return value.lower()


def _root(content: dict[str, Any], file: Path, data_root: str | Path | None) -> Path:
    home = file if file.is_dir() else file.parent
    if data_root is not None:
        root = _absolute(expand_home(data_root))
        if not root.is_dir():
            raise DataError(f"--data-root {data_root}: no such folder")
        return root
    value = content.get("path")
    if value is None:
        return _absolute(home)
    if not isinstance(value, str) or not is_path(value):
        raise DataError(f"{file}: key 'path' is {shown(value)}; write the data set's folder as text")
    bases = (home, ROOT, Path.cwd(), ROOT / "datasets")
    spelled = dict.fromkeys((value, value.replace("\\", "/")))  # as written on Windows
    tried = [_absolute(base / expand_home(text)) for text in spelled for base in bases]
    existing = next((candidate for candidate in tried if candidate.is_dir()), None)
    return existing or (tried[1] if home.resolve() == ROOT / "data" else tried[0])


def _splits(content: dict[str, Any], file: Path, root: Path) -> dict[str, tuple[Source, ...]]:
    if content.get("val") is None:
        old = next((key for key in ("validation", "valid") if content.get(key) is not None), None)
        content = {**content, "val": content[old]} if old else content
    splits = {}
    for split in SPLITS:
        value = content.get(split)
        if value is None or value in ("", []):
            continue
        entries = value if isinstance(value, list) else [value]
        splits[split] = tuple(_source(entry, file, split, root, content) for entry in entries)
    if not splits:
        near = next((near for key in content for near in difflib.get_close_matches(str(key), SPLITS, 1)), None)
        hint = f" did you mean {near}?" if near else ""
        raise DataError(f"{file}: keys 'train', 'val' are missing;{hint} write train: FOLDER or LIST.txt")
    return splits


def _source(entry: Any, file: Path, split: str, root: Path, content: dict[str, Any]) -> Source:
    """Read one entry of a split: text, or for COCO {images: FOLDER, annotations: FILE.json}."""
    if isinstance(entry, dict) and set(entry) <= {"images", "annotations"} and entry.get("annotations"):
        images, annotations = entry.get("images"), entry["annotations"]
    else:
        images, annotations = entry, None
        beside = content.get("annotations")
        if isinstance(beside, dict) and beside.get(split):
            annotations = beside[split]
        elif isinstance(entry, str) and entry.lower().endswith(".json"):
            images, annotations = None, entry
    for value in (images, annotations):
        if value is not None and (not isinstance(value, str) or not is_path(value)):
            raise DataError(f"{file}: key '{split}' has {shown(value)}; write a folder, list or JSON as text")
    return Source(
        resolve(images, root, file) if images is not None else None,
        resolve(annotations, root, file) if annotations is not None else None,
    )


def resolve(entry: str, root: Path, file: Path) -> Path:
    """Return the absolute path of a split entry: under `root`, else where YOLOv5's and Roboflow's habits put it."""
    path = expand_home(entry)
    tried = [root / path]
    if path.parts[:1] == ("..",):
        tried.append(root / Path(*path.parts[1:]))  # Roboflow writes ../train/images beside the YAML
    tried += [file.parent / path, ROOT / path]
    found = next((candidate for candidate in tried if candidate.exists()), None)
    if found is None and "\\" in entry:  # as written on Windows
        return resolve(entry.replace("\\", "/"), root, file)
    return _absolute(found or tried[0])


def is_path(text: str) -> bool:
    """Tell whether a text can name a file at all; asking the system for any other text raises."""
    try:
        parts = [os.fsencode(part) for part in Path(text).parts]
    except UnicodeEncodeError:
        return False
    return (
        bool(text.strip())
        and b"\0" not in b"".join(parts)
        and len(text) <= 2048
        and max(map(len, parts), default=0) <= 255
    )


def _names(content: dict[str, Any], file: Path) -> tuple[str, ...] | None:
    value, nc = content.get("names"), content.get("nc")
    if nc is not None and (not isinstance(nc, int) or isinstance(nc, bool) or not 1 <= nc <= 100_000):
        raise DataError(f"{file}: key 'nc' is {shown(nc)}; write the number of classes")
    if value is None:
        return tuple(f"class{number}" for number in range(nc)) if nc is not None else None
    if isinstance(value, dict):
        if sorted(map(str, value)) != sorted(map(str, range(len(value)))):
            raise DataError(f"{file}: key 'names' must number the classes 0 … {len(value) - 1} without gaps")
        value = [content_value for _, content_value in sorted(value.items(), key=lambda item: int(item[0]))]
    if not isinstance(value, list) or not value:
        raise DataError(f"{file}: key 'names' is {shown(value)}; write a list of class names")
    for number, name in enumerate(value):
        if isinstance(name, bool) or not isinstance(name, (str, int, float)) or not str(name).strip():
            raise DataError(f"{file}: key 'names': class {number} is {shown(name)}; write its name in quotes")
    if nc is not None and nc != len(value):
        raise DataError(f"{file}: key 'nc' is {nc} but 'names' has {len(value)} entries; leave nc out or correct it")
    return tuple(str(name) for name in value)


def _absolute(path: Path) -> Path:
    """Make absolute and free of `..`; links are kept, since labels are found from the image's path as written."""
    return Path(os.path.abspath(path))  # noqa: PTH100 - Path.absolute keeps `..`, Path.resolve follows links
