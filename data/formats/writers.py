"""Write a Dataset as YOLO text, PASCAL VOC XML or COCO JSON, with the data YAML that reads it back."""

import json
import unicodedata
from collections import Counter
from collections.abc import Callable
from itertools import chain, count
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import yaml

from data.image_files.image_probe import proper_suffix
from data.records import Dataset, Record, Split

Losses = Counter  # what the target cannot hold → how often
PutImage = Callable[[Record, Path], None]  # puts a record's image at a path


def file_names(dataset: Dataset) -> dict[tuple[str, int], str]:
    """Return a name for every image, (split, position) → name; no two stems alike, suffixes as the files' content."""
    taken: set[str] = set()
    names = {}
    for split in dataset.splits.values():
        for index, record in enumerate(split):
            stem, suffix = record.path.stem, proper_suffix(record.path)
            numbered = (f"{split.name}_{index}_{'_' * more}{stem}" for more in count())
            wishes = chain((stem, f"{split.name}_{stem}", f"{record.path.parent.name}_{stem}"), numbered)
            wanted = next(name for name in wishes if _key(name) not in taken)
            taken.add(_key(wanted))
            names[split.name, index] = wanted + suffix
    return names


def _key(name: str) -> str:
    """Return what names share that may be one file: file systems ignore case, or how accents are put together."""
    return unicodedata.normalize("NFC", name).casefold()


def write_yolo(dataset: Dataset, out: Path, put_image: PutImage) -> Losses:
    """Write images/SPLIT and labels/SPLIT; objects that YOLO text cannot mark (crowd, difficult) are left out."""
    losses: Losses = Counter()
    names = file_names(dataset)
    for split in dataset.splits.values():
        images, labels = out / "images" / split.name, out / "labels" / split.name
        images.mkdir(parents=True)
        labels.mkdir(parents=True)
        for index, record in enumerate(split):
            name = names[split.name, index]
            put_image(record, images / name)
            losses["crowd regions left out"] += int(record.crowd.sum())
            losses["difficult objects left out"] += int((record.difficult & ~record.crowd).sum())
            keep = ~(record.crowd | record.difficult)
            losses["object areas other than width × height"] += _own_areas(record, keep)
            (labels / name).with_suffix(".txt").write_text(_yolo_rows(record, keep), encoding="utf-8")
    _count_ids(dataset, losses)
    _write_yaml(dataset, out, "yolo", {name: f"images/{name}" for name in dataset.splits})
    return losses


def write_voc(dataset: Dataset, out: Path, put_image: PutImage) -> Losses:
    """Write Annotations, JPEGImages, ImageSets/Main; crowd regions become difficult objects."""
    losses: Losses = Counter()
    names = file_names(dataset)
    for folder in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (out / folder).mkdir(parents=True)
    for split in dataset.splits.values():
        stems = []
        for index, record in enumerate(split):
            name = names[split.name, index]
            put_image(record, out / "JPEGImages" / name)
            root = _voc_element(record, name, dataset.names)
            target = out / "Annotations" / f"{Path(name).stem}.xml"
            ElementTree.ElementTree(root).write(target, encoding="utf-8", xml_declaration=True)
            stems.append(Path(name).stem + "\n")
            losses["crowd regions written as difficult objects"] += int(record.crowd.sum())
            losses["object areas other than width × height"] += _own_areas(record, np.ones(len(record), bool))
        (out / "ImageSets" / "Main" / f"{split.name}.txt").write_text("".join(stems), encoding="utf-8")
    _count_ids(dataset, losses)
    _write_yaml(dataset, out, "voc", {name: name for name in dataset.splits})
    return losses


def write_coco(dataset: Dataset, out: Path, put_image: PutImage) -> Losses:
    """Write images/SPLIT and annotations/instances_SPLIT.json; `difficult` is an extra key that our reader knows."""
    names = file_names(dataset)
    ids = dataset.category_ids or {number: number + 1 for number in dataset.names}
    ids = {number: ids.get(number, max(ids.values(), default=0) + 1 + number) for number in dataset.names}
    categories = [{"id": ids[number], "name": name} for number, name in dataset.names.items()]
    (out / "annotations").mkdir(parents=True)
    for split in dataset.splits.values():
        folder = out / "images" / split.name
        folder.mkdir(parents=True)
        for index, record in enumerate(split):
            put_image(record, folder / names[split.name, index])
        file = out / "annotations" / f"instances_{split.name}.json"
        file.write_text(_coco_text(split, names, ids, categories), encoding="utf-8")
    splits = {
        name: {"images": f"images/{name}", "annotations": f"annotations/instances_{name}.json"}
        for name in dataset.splits
    }
    _write_yaml(dataset, out, "coco", splits)
    return Counter()


WRITERS = {"yolo": write_yolo, "voc": write_voc, "coco": write_coco}


def _yolo_rows(record: Record, keep: np.ndarray) -> str:
    boxes = record.boxes_xyxy[keep] / np.array([record.width, record.height] * 2)
    table = np.hstack([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]])
    rows = zip(record.classes[keep].tolist(), table.tolist(), strict=True)
    return "".join(f"{cls} {' '.join(format(value, '.12g') for value in row)}\n" for cls, row in rows)


def _voc_element(record: Record, name: str, names: dict[int, str]) -> ElementTree.Element:
    root = ElementTree.Element("annotation")
    _child(root, "filename", name)
    size = ElementTree.SubElement(root, "size")
    for key, value in (("width", record.width), ("height", record.height), ("depth", 3)):
        _child(size, key, str(value))
    hidden = record.difficult | record.crowd
    for cls, box, difficult in zip(record.classes.tolist(), record.boxes_xyxy.tolist(), hidden.tolist(), strict=True):
        item = ElementTree.SubElement(root, "object")
        _child(item, "name", names[cls])
        _child(item, "difficult", str(int(difficult)))
        corners = ElementTree.SubElement(item, "bndbox")
        for key, value in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True):
            _child(corners, key, format(value, ".12g"))
    ElementTree.indent(root)
    return root


def _child(parent: ElementTree.Element, tag: str, text: str) -> None:
    ElementTree.SubElement(parent, tag).text = text


def _coco_text(
    split: Split, names: dict[tuple[str, int], str], ids: dict[int, int], categories: list[dict[str, object]]
) -> str:
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    own_ids = len({record.image_id for record in split}) == len(split)
    for index, record in enumerate(split):
        ident = record.image_id if own_ids else index
        name = names[split.name, index]
        images.append({"id": ident, "file_name": name, "width": record.width, "height": record.height})
        for at in range(len(record)):
            x1, y1, x2, y2 = (round(value, 6) for value in record.boxes_xyxy[at].tolist())
            entry = {
                "id": len(annotations) + 1,
                "image_id": ident,
                "category_id": ids[int(record.classes[at])],
                "bbox": [x1, y1, round(x2 - x1, 6), round(y2 - y1, 6)],
                "area": float(record.area[at]),
                "iscrowd": int(record.crowd[at]),
            }
            annotations.append({**entry, "difficult": 1} if record.difficult[at] else entry)
    return json.dumps({"images": images, "annotations": annotations, "categories": categories})


def _own_areas(record: Record, keep: np.ndarray) -> int:
    sides = record.boxes_xyxy[:, 2:] - record.boxes_xyxy[:, :2]
    return int((~np.isclose(record.area, sides.prod(1), rtol=1e-6, atol=1e-3) & keep).sum())


def _count_ids(dataset: Dataset, losses: Losses) -> None:
    if dataset.format == "coco":
        losses["image ids"] += len(dataset)
        losses["category ids"] += len(dataset.category_ids)


def _write_yaml(dataset: Dataset, out: Path, form: str, splits: dict) -> None:
    content: dict[str, Any] = {"format": form, **splits, "names": list(dataset.names.values())}
    if dataset.channels != 3:
        content["channels"] = dataset.channels
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=110)
    (out / "data.yaml").write_text(text, encoding="utf-8")
