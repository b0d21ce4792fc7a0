"""Read PASCAL VOC trees: Annotations/*.xml, JPEGImages, ImageSets/Main/*.txt; or images with an XML beside each.

Corners. PASCAL's own annotations number pixels from 1 and include both corners, so the box covers [xmin − 1, xmax] in
continuous coordinates (as detectron2 reads it; intersections are then exactly those of the VOC devkit's "+1" rule).
What users draw with labelImg, CVAT or Label Studio are continuous coordinates already ("plain", as torchvision and
most converters read it; labelImg merely avoids 0). The data YAML says which with `corners: plain|devkit`, plain being
the default; data/VOC.yaml says devkit. (YOLOv5's VOC converter shifts both corners by −1, which fits neither.)
"""

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from data.config import Source
from data.errors import DataError
from data.formats.boxes import RawObjects, make_record
from data.formats.voc_lists import XML_FOLDERS, annotations, home_of, list_file, read_ids
from data.formats.voc_xml import parse_xml
from data.formats.yolo import Probe
from data.image_files.image_probe import SUFFIXES, probe_all
from data.records import Issue, Split

_IMAGE_FOLDERS = ("JPEGImages", "images", "Images", "img", "")
_BESIDE_IMAGES = (*XML_FOLDERS, "labels")  # folders of XML beside folders of images, split by split perhaps


def read_split(
    name: str,
    sources: Sequence[Source],
    names: tuple[str, ...],
    corners: str = "plain",
    probe: Probe = probe_all,
    *,
    single_class: bool = False,
) -> Split:
    """Read one split of a PASCAL VOC data set.

    Args:
        name: the split's name.
        sources: lists of ids (ImageSets/Main/x.txt, or its short form TREE/x), or folders with XML files.
        names: class names; objects of others are dropped with an Issue.
        corners: "plain" or "devkit", see above.
        probe: how the images' metadata are read.
        single_class: classes are one: a name that `names` does not have counts as the first.

    Raises:
        DataError: if a file or folder does not exist or names no images.
    """
    split = Split(name)
    index: dict[str, int] = _OneClass() if single_class else {}
    index.update({class_name: number for number, class_name in enumerate(names)})
    files = [pair for source in sources for pair in find_pairs(source, split.issues)]
    if not files:
        paths_text = ", ".join(str(source.path) for source in sources)
        raise DataError(f"{paths_text}: no annotated images for split '{name}'; expected XML files in Annotations/")
    for (image, xml), metadata in zip(files, probe([image for image, _ in files]), strict=True):
        split.issues.extend(metadata.issues)
        if not metadata.width:
            continue
        root = parse_xml(xml, split.issues)
        if root is None:
            continue
        _check_size(root, xml, metadata.width, metadata.height, split.issues)
        raw = _objects(root, xml, index, corners, split.issues)
        _count_extras(root, split.not_kept)
        record = make_record(image, metadata.width, metadata.height, raw, split.issues)
        record.image_id = len(split.records)
        split.records.append(record)
    return split


class _OneClass(dict[str, int]):
    """Map every class name that is not in it to the first class."""

    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> int:
        return 0


def find_classes(sources: Sequence[Source]) -> tuple[str, ...]:
    """Return all class names in the XML files of some sources, in alphabetical order.

    Raises:
        DataError: if a file or folder does not exist, none of the XML files does, or one cannot be read and no other
            names a class.
    """
    names = set()
    ignored: list[Issue] = []
    xmls = [xml for source in sources for _, xml in find_pairs(source, ignored)]
    if xmls and not any(map(Path.is_file, xmls)):
        raise DataError(f"none of {len(xmls)} images has an XML file; looked for {xmls[0]}")
    for xml in xmls:
        root = parse_xml(xml, ignored)
        if root is not None:
            names |= {_text(item, "name") for item in root.iter("object")}
    names -= {""}
    fault = next((issue for issue in ignored if issue.kind == "unreadable-label"), None)
    if fault is not None and not names:
        raise DataError(f"{fault.file}: {fault.message} (so no class can be read from the XML files)")
    return tuple(sorted(names))


def find_pairs(source: Source, issues: list[Issue]) -> list[tuple[Path, Path]]:
    """Pair (image, XML) of one source.

    Raises:
        DataError: if the file or folder does not exist.
    """
    path = list_file(source)
    if path.is_dir():
        folder = _folder_of_xmls(path)
        home = path.parent if path.name in XML_FOLDERS else path
        xmls = [(xml, folder) for xml in sorted(folder.glob("*.xml"))]
    else:
        home = home_of(path)
        folder = annotations(home)
        xmls = [(_xml_of(stem, home), (home / stem).parent) for stem in read_ids(path, issues)]
    counterparts = _beside(folder, _BESIDE_IMAGES, _IMAGE_FOLDERS[:-1])
    listings: dict[Path, dict[str, Path]] = {}
    pairs = [(_image_of(xml, home, written, counterparts, listings), xml) for xml, written in xmls]
    if path.is_dir():
        _report_without_xml(pairs, listings, folder, issues)
    return pairs


def _folder_of_xmls(path: Path) -> Path:
    """Return where the XML files of a folder lie: in it, below it in Annotations, or beside it (images/x, labels/x)."""
    folder = annotations(path)
    places = (folder, *_beside(path, _IMAGE_FOLDERS[:-1], _BESIDE_IMAGES))
    return next((place for place in places if next(place.glob("*.xml"), None) is not None), folder)


def _beside(folder: Path, names: Sequence[str], others: Sequence[str]) -> list[Path]:
    """Return a folder's counterparts: the last part of its path that bears one of some names, by another's name."""
    parts = folder.parts
    last = next((index for index in reversed(range(len(parts))) if parts[index] in names), None)
    if last is None:
        return []
    places = (Path(*parts[:last], other, *parts[last + 1 :]) for other in others)
    return [place for place in places if place.is_dir()]


def _xml_of(stem: str, home: Path) -> Path:
    """Return the XML of an image that a list names: beside the image, else in Annotations."""
    beside = home / f"{stem}.xml"
    return beside if "/" in stem and beside.is_file() else annotations(home) / f"{Path(stem).name}.xml"


def _report_without_xml(
    pairs: list[tuple[Path, Path]], listings: dict[Path, dict[str, Path]], folder: Path, issues: list[Issue]
) -> None:
    """Count the images of a folder that no XML stands for; a list leaves out what it wants."""
    used = {image.parent for image, _ in pairs}
    stems = {xml.stem for _, xml in pairs}
    listed = [images for base, images in listings.items() if base.absolute() in used]
    left = sorted(image for images in listed for stem, image in images.items() if stem not in stems)
    if left:
        what = f"{len(left)} images have no XML in {folder.name}"
        issues.append(Issue(left[0], None, "no-label", what, "images skipped"))


def _objects(
    root: ElementTree.Element, file: Path, index: dict[str, int], corners: str, issues: list[Issue]
) -> RawObjects:
    raw = RawObjects(file)
    shift = 1.0 if corners == "devkit" else 0.0
    for number, item in enumerate(root.iter("object"), 1):
        name = _text(item, "name")
        if name not in index:
            text = f"class {name[:60]!r} is not in the data YAML's names"
            issues.append(Issue(file, number, "unknown-class", text, "dropped"))
            continue
        box = item.find("bndbox")
        if box is None:
            issues.append(Issue(file, number, "no-box", "object without <bndbox>", "dropped"))
            continue
        x1, y1, x2, y2 = (_number(box, key) for key in ("xmin", "ymin", "xmax", "ymax"))
        if x1 == x2 or y1 == y2:  # nobody draws a box of one pixel: under either reading it has no size
            text = f"box [{x1:g}, {y1:g}, {x2:g}, {y2:g}] has no width or height"
            issues.append(Issue(file, number, "zero-size", text, "dropped"))
            continue
        low_x, high_x = (shift, 0.0) if x1 < x2 else (0.0, shift)  # the smaller corner is the one that moves
        low_y, high_y = (shift, 0.0) if y1 < y2 else (0.0, shift)
        difficult = _text(item, "difficult").lower() in ("1", "true")
        raw.add(number, index[name], (x1 - low_x, y1 - low_y, x2 - high_x, y2 - high_y), difficult=difficult)
    return raw


def _count_extras(root: ElementTree.Element, not_kept: Counter[str]) -> None:
    for item in root.iter("object"):
        not_kept["poses"] += _text(item, "pose") not in ("", "Unspecified")
        not_kept["truncated flags"] += _text(item, "truncated") == "1"
        not_kept["occluded flags"] += _text(item, "occluded") == "1"
        not_kept["object parts"] += len(item.findall("part"))


def _check_size(root: ElementTree.Element, file: Path, width: int, height: int, issues: list[Issue]) -> None:
    size = root.find("size")
    if size is None:
        return
    written = (_number(size, "width"), _number(size, "height"))
    if written != (width, height):
        text = f"says {written[0]:g}×{written[1]:g} but the image shows as {width}×{height}"
        issues.append(Issue(file, None, "size-mismatch", text, "the image's own size used"))


def _text(element: ElementTree.Element, key: str) -> str:
    return (element.findtext(key) or "").strip()


def _number(element: ElementTree.Element, key: str) -> float:
    try:
        return float(_text(element, key))
    except ValueError:
        return math.nan


def _image_of(
    xml: Path, home: Path, written: Path, counterparts: Sequence[Path], listings: dict[Path, dict[str, Path]]
) -> Path:
    """Return the image of an XML: same stem, any image suffix, in a usual folder or in one that a list names."""
    for folder in (*(home / name for name in _IMAGE_FOLDERS), written, *counterparts):
        if folder not in listings:
            listings[folder] = _images_in(folder)
        if xml.stem in listings[folder]:
            return listings[folder][xml.stem]
    return home / "JPEGImages" / f"{xml.stem}.jpg"


def _images_in(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        return {}
    return {path.stem: path.absolute() for path in sorted(folder.iterdir()) if path.suffix.lower() in SUFFIXES}
