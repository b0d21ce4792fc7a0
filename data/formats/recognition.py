"""Recognise the format of a data set whose YAML does not name it, by what its lists and folders hold."""

from itertools import islice
from pathlib import Path

from data.config import DataConfig, Source
from data.errors import DataError, NotUtf8Error
from data.formats.label_files import find_label
from data.formats.voc import find_pairs
from data.formats.yolo import find_images
from data.records import Issue

_SAMPLE = 2000  # images and annotation files looked at


def recognise_format(config: DataConfig) -> tuple[str, Issue | None]:
    """Return the format of a data set, and a note where labels of a second kind lie beside those that are read.

    The split with the most to go by decides: a list by whether its lines name images or ids, a folder by whether its
    images have label files or XML files.
    """
    sources = [source for entries in config.splits.values() for source in entries]
    if any(source.annotations is not None for source in sources):
        return "coco", None
    yolo, voc = 0, 0
    place = sources[0].path or config.root
    for source in sources:
        labels = _yolo_labels(source, config.root, config.channels != 3)
        xmls = _voc_annotations(source, labelled=labels > 0)
        yolo, voc = yolo + labels, voc + xmls
        if labels and xmls:
            place = source.path or config.root
    form = "voc" if voc > yolo or (not yolo and _like_voc(sources[0].path or config.root)) else "yolo"
    if not (yolo and voc):
        return form, None
    counts = f"{yolo} YOLO label files and {voc} XML files for its images"
    other = "yolo" if form == "voc" else "voc"
    note = f"{counts}; read as {form} (to read the others write format: {other} in the data YAML)"
    return form, Issue(place, None, "two-formats", note, f"{form} read")


def _like_voc(path: Path) -> bool:
    """Tell whether a source without any labels is one of VOC, whose messages then say what is missing."""
    if path.is_dir():
        return (path / "Annotations").is_dir() or next(path.glob("*.xml"), None) is not None
    lists = path.parent / "ImageSets" / "Main"
    return path.parent.name == "Main" or (lists / f"{path.name}.txt").is_file() or (lists / path.name).is_file()


def _yolo_labels(source: Source, root: Path, arrays: bool) -> int:
    """Return how many images of a source have a YOLO label file.

    Raises:
        NotUtf8Error: if it is a list in another encoding: nothing can be told of it.
    """
    try:
        images = find_images(source, root, [], arrays)
    except NotUtf8Error:
        raise
    except DataError:
        return 0
    return sum(find_label(image).is_file() for image in islice(images, _SAMPLE))


def _voc_annotations(source: Source, labelled: bool) -> int:
    """Return how many images of a source have an XML file: a folder below it, a list wherever it is found.

    Args:
        source: of images or ids.
        labelled: whether some have labels too, which may have been made from XML that lies elsewhere than in
            Annotations: that does not count then.
    """
    try:
        pairs = find_pairs(source, [])
    except DataError:
        return 0
    if source.path is not None and source.path.is_dir():
        pairs = [(image, xml) for image, xml in pairs if source.path in xml.parents]
    elif labelled:
        pairs = [(image, xml) for image, xml in pairs if xml.parent in image.parents or "Annotations" in xml.parts]
    return sum(xml.is_file() and image.is_file() for image, xml in islice(pairs, _SAMPLE))
