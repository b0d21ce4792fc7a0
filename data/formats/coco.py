"""Read COCO JSON: images, categories with any ids, crowd flags, boxes from segmentations where there is no other."""

import re
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from data.config import Source, is_path
from data.errors import DataError
from data.formats.boxes import RawObjects, make_record
from data.formats.coco_images import image_folder, image_path
from data.formats.json_stream import iter_members
from data.formats.masks import segmentation_box
from data.formats.yolo import Probe
from data.image_files.image_probe import ImageMetadata, probe_all
from data.records import Issue, Split

_WHOLE = re.compile(r"\s*-?[0-9]{1,19}\s*")


@dataclass(slots=True)
class CocoFile:
    """What a COCO JSON says, annotations as columns (some 80 bytes each).

    Shape:
        image_of, category, ident (n,) int64; numbers (n, 5) float64: x, y, w, h in pixels and area (NaN if not given);
        crowd, difficult (n,) int8.
    """

    file: Path
    images: dict[int, tuple[str, float, float]] = field(default_factory=dict)  # id → (file name, width, height)
    categories: dict[int, str] = field(default_factory=dict)
    image_of: array = field(default_factory=lambda: array("q"))
    category: array = field(default_factory=lambda: array("q"))
    ident: array = field(default_factory=lambda: array("q"))
    numbers: array = field(default_factory=lambda: array("d"))
    crowd: array = field(default_factory=lambda: array("b"))
    difficult: array = field(default_factory=lambda: array("b"))  # VOC's flag, an extra key that our writer adds
    issues: list[Issue] = field(default_factory=list)
    not_kept: Counter[str] = field(default_factory=Counter)
    faulty_category: str = ""  # what is wrong with the first category that cannot be used


def read_json(file: Path) -> CocoFile:
    """Read a COCO JSON in one pass, whatever the order of its parts.

    Raises:
        DataError: if it is no COCO JSON with images and annotations.
    """
    content = CocoFile(file)
    readers = {"images": _read_image, "categories": _read_category, "annotations": _read_annotation}
    seen = set()
    for key, element in iter_members(file):
        seen.add(key)
        if key in readers:
            if isinstance(element, dict):
                readers[key](content, element)
            else:
                text = f"'{key}' has {type(element).__name__}, expected objects"
                content.issues.append(Issue(file, None, "bad-entry", text, "dropped"))
    if not content.images:
        fault = next((issue for issue in content.issues if issue.kind == "bad-entry"), None)
        if "images" in seen and fault is not None:
            raise DataError(f"{file}: has no usable image: images entry {fault.row}: {fault.message}")
        raise DataError(f"{file}: has no images (its keys: {', '.join(sorted(seen))[:200]}); expected a COCO JSON")
    return content


def find_categories(sources: Sequence[Source]) -> dict[int, str]:
    """Join the categories of some COCO files, id → name, in the order of the ids.

    Raises:
        DataError: if two files give one id two names, or there are none.
    """
    categories: dict[int, str] = {}
    for file in dict.fromkeys(source.annotations for source in sources if source.annotations):
        content = read_json(file)
        for ident, name in content.categories.items():
            if categories.setdefault(ident, name) != name:
                raise DataError(
                    f"{file}: category {ident} is {name!r} here, {categories[ident]!r} in another split; "
                    "give both one name"
                )
        if not content.categories and content.faulty_category:
            raise DataError(f"{file}: has no usable category: {content.faulty_category}")
    if not categories:
        raise DataError("no categories in the COCO files; write names: in the data YAML")
    return dict(sorted(categories.items()))


def read_split(
    name: str,
    sources: Sequence[Source],
    names: tuple[str, ...],
    root: Path,
    probe: Probe = probe_all,
    *,
    single_class: bool = False,
) -> tuple[Split, dict[int, int]]:
    """Read one split of a COCO data set.

    Args:
        name: the split's name.
        sources: annotation files, each with its folder of images if that is known.
        names: class names; categories of other names are dropped with an Issue.
        root: the data set's folder, where images are looked for.
        probe: how the images' metadata are read.
        single_class: classes are one: a category that `names` does not have counts as the first.

    Returns:
        The split, and class number → category id.

    Raises:
        DataError: if a file cannot be read or none of its images exists.
    """
    split = Split(name)
    category_ids: dict[int, int] = {}
    for source in sources:
        if source.annotations is None:
            raise DataError(f"{source.path}: no annotation file for split '{name}'; write {name}: FILE.json")
        content = read_json(source.annotations)
        to_class = _to_class(content, names, single_class)
        split.issues += content.issues
        split.not_kept += content.not_kept
        category_ids |= {cls: ident for ident, cls in to_class.items() if cls >= 0}
        file_names = [file_name for file_name, _, _ in content.images.values()]
        folder = source.path or image_folder(content.file, file_names, name, root)
        _add_records(split, content, to_class, folder, probe)
    if not split.records:
        raise DataError(f"{sources[0].annotations}: none of its images was found; write images: FOLDER beside it")
    return split, dict(sorted(category_ids.items()))


def _add_records(split: Split, content: CocoFile, to_class: dict[int, int], folder: Path, probe: Probe) -> None:
    image_of = np.frombuffer(content.image_of, dtype=np.int64)
    order = np.argsort(image_of, kind="stable")
    starts = np.searchsorted(image_of[order], np.array(list(content.images), dtype=np.int64), "left")
    ends = np.searchsorted(image_of[order], np.array(list(content.images), dtype=np.int64), "right")
    numbers = np.frombuffer(content.numbers, dtype=np.float64).reshape(-1, 5)
    _report_orphans(content, image_of, split.issues)
    paths = [image_path(folder, file_name) for file_name, _, _ in content.images.values()]
    all_metadata = probe(paths)
    for index, (ident, (_, width, height)) in enumerate(content.images.items()):
        metadata = all_metadata[index]
        split.issues.extend(metadata.issues)
        if not metadata.width:
            continue
        _check_size(content.file, ident, (width, height), metadata, split.issues)
        raw = RawObjects(content.file)
        for at in order[starts[index] : ends[index]].tolist():
            cls = to_class.get(content.category[at], -1)
            if cls >= 0:
                x, y, w, h, area = numbers[at].tolist()
                flags = {"crowd": bool(content.crowd[at]), "difficult": bool(content.difficult[at])}
                raw.add(content.ident[at], cls, (x, y, x + w, y + h), area=area, **flags)
        record = make_record(paths[index], metadata.width, metadata.height, raw, split.issues)
        record.image_id = ident
        split.records.append(record)


def _read_image(content: CocoFile, entry: dict[str, Any]) -> None:
    ident, name = _id(entry.get("id")), _file_name(entry)
    if ident is None or not isinstance(name, str) or not is_path(name):
        text = _why_no_id(entry.get("id"), "id and file_name")
        content.issues.append(Issue(content.file, _shown(entry.get("id")), "bad-entry", text, "dropped"))
    elif ident in content.images:
        content.issues.append(Issue(content.file, ident, "repeated", f"second image of id {ident}", "dropped"))
    else:
        content.images[ident] = (name, _number(entry.get("width")), _number(entry.get("height")))


def _file_name(entry: dict[str, Any]) -> Any:
    """Return an image's file name; LVIS gives its address only, which ends in COCO's own folder and name."""
    address = entry.get("coco_url")
    if entry.get("file_name") is None and isinstance(address, str):
        return "/".join(address.split("/")[-2:])
    return entry.get("file_name")


def _read_category(content: CocoFile, entry: dict[str, Any]) -> None:
    ident, name = _id(entry.get("id")), entry.get("name")
    if ident is None or not isinstance(name, str) or not name.strip():
        text = _why_no_id(entry.get("id"), "id and name")
        content.faulty_category = content.faulty_category or text
        content.issues.append(Issue(content.file, _shown(entry.get("id")), "bad-entry", text, "dropped"))
    else:
        content.categories[ident] = name.strip()


def _read_annotation(content: CocoFile, entry: dict[str, Any]) -> None:
    own = _id(entry.get("id"))
    ident = own if own is not None else -1 - len(content.ident)
    image, category = _id(entry.get("image_id")), _id(entry.get("category_id"))
    if image is None or category is None:
        text = "annotation without image_id and category_id as whole numbers"
        content.issues.append(Issue(content.file, ident, "bad-entry", text, "dropped"))
        return
    box = entry.get("bbox")
    if not box and entry.get("segmentation"):  # some tools write an empty one
        box = segmentation_box(entry["segmentation"])
        text = "no bbox; the box around its segmentation" if box else "no bbox and an unreadable segmentation"
        content.issues.append(Issue(content.file, ident, "segmentation", text, "used" if box else "dropped"))
        if box is None:
            return
    if not isinstance(box, (list, tuple)) or len(box) != 4:
        content.issues.append(Issue(content.file, ident, "no-box", "expected bbox: [x, y, width, height]", "dropped"))
        return
    for key in ("segmentation", "keypoints", "caption"):
        content.not_kept[f"{key}s"] += bool(entry.get(key))
    content.ident.append(ident)
    content.image_of.append(image)
    content.category.append(category)
    content.numbers.extend([_number(value) for value in box] + [_number(entry.get("area"))])
    content.crowd.append(1 if entry.get("iscrowd") in (1, True, "1") else 0)
    content.difficult.append(1 if entry.get("difficult") in (1, True, "1") else 0)


def _to_class(content: CocoFile, names: tuple[str, ...], single_class: bool) -> dict[int, int]:
    """Map category ids to class numbers, −1 for categories that the data YAML does not have."""
    index = {name: number for number, name in enumerate(names)}
    to_class = {ident: index.get(name, -1) for ident, name in content.categories.items()}
    counts = Counter(content.category)
    if single_class:
        known = {ident: cls for ident, cls in to_class.items() if cls >= 0}  # last: their ids are written again
        return {**dict.fromkeys([*to_class, *counts], 0), **known}
    for ident, number in sorted(counts.items()):
        if to_class.get(ident, -1) < 0:
            what = f"category {ident} ({content.categories.get(ident, 'not listed in the file')})"
            text = f"{what} is not in the data YAML's names: {number} annotations"
            content.issues.append(Issue(content.file, None, "unknown-class", text, "dropped"))
    if content.categories and not any(cls >= 0 for cls in to_class.values()):
        shown = ", ".join(list(content.categories.values())[:5])
        raise DataError(
            f"{content.file}: none of its categories ({shown} …) is in the data YAML's names; "
            "write them there, or leave names out"
        )
    return to_class


def _report_orphans(content: CocoFile, image_of: np.ndarray, issues: list[Issue]) -> None:
    known = np.fromiter(content.images, dtype=np.int64)
    for at in np.flatnonzero(~np.isin(image_of, known)).tolist():
        text = f"image {content.image_of[at]} is not listed in the file"
        issues.append(Issue(content.file, content.ident[at], "no-image", text, "dropped"))


def _check_size(
    file: Path, ident: int, written: tuple[float, float], metadata: ImageMetadata, issues: list[Issue]
) -> None:
    if written != (metadata.width, metadata.height) and not np.isnan(written).any():
        shown = f"{metadata.width}×{metadata.height}"
        text = f"says {written[0]:g}×{written[1]:g} for image {ident}, which shows as {shown}"
        issues.append(Issue(file, ident, "size-mismatch", text, "the image's own size used"))


def _id(value: Any) -> int | None:
    """Return an id as a whole number; some tools write it as text or with a decimal point. None for anything else."""
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        value = int(value)
    elif isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 62 else None


def _why_no_id(ident: Any, needed: str) -> str:
    if _id(ident) is not None or not isinstance(ident, int | float | str):
        return f"needs {needed}"
    if str(ident).strip().lstrip("-").isdecimal():
        return f"the id {str(ident)[:40]} is too large; ids must be whole numbers of at most 18 digits"
    what = "text" if isinstance(ident, str) else "no whole number"
    return f"the id {str(ident)[:40]!r} is {what}; ids must be whole numbers (in images, annotations and categories)"


def _number(value: Any) -> float:
    try:
        return float(value) if isinstance(value, (int, float, str)) and not isinstance(value, bool) else float("nan")
    except OverflowError:
        return float("inf")
    except ValueError:
        return float("nan")


def _shown(value: Any) -> str | None:
    return None if value is None else str(value)[:40]
