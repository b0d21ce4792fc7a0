"""What is fuzzed: readers of files that users get from strangers, each with valid files to begin with.

A target reads one file. It may refuse it by an error of the kinds that become one line and exit code 2, or use it; it
returns whether the file got past the parser of its format.
"""

import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import cv2
import numpy as np
import yaml
from hypothesis import strategies as st

from data import load_dataset
from data.config import Source
from data.doctor.duplicates import fingerprint
from data.errors import DataError
from data.formats import coco, voc, yolo
from data.formats.boxes import make_record
from data.image_files import image_io
from data.image_files.image_probe import ImageMetadata, probe, sniff
from data.records import Issue
from engine.detection import sources
from engine.errors import UsageError
from engine.training import hyperparameters
from models import build_model, read_spec
from models.errors import SpecError
from study.plan.study_spec import read_study
from tests.integration.fuzz.mutations import contents, elements, images_of, texts, trees
from tests.integration.fuzz.seeds import XML, coco_tree, data_trees, images_as_bytes, labels

ROOT = Path(__file__).resolve().parents[3]
REFUSALS = (SpecError, UsageError, DataError)
LOSS_KEYS = frozenset("box cls obj cls_pw obj_pw anchor_t fl_gamma label_smoothing loss_ota".split())
SIZE = (100, 80)  # pixels of the images that labels belong to
BUILT = 20  # of so many model descriptions one is built, too


@dataclass(frozen=True)
class Target:
    """One reader.

    Attributes:
        suffix: of the file.
        cases: strategy of contents.
        read: reads the file; returns whether its format's parser accepted it.
        share: of all cases, in per cent.
    """

    suffix: str
    cases: st.SearchStrategy[bytes]
    read: Callable[[Path], bool]
    share: int


def _stub(paths: Any) -> list[ImageMetadata]:
    return [ImageMetadata(*SIZE) for _ in paths]


def _is_yaml(path: Path) -> bool:
    try:
        yaml.safe_load(path.read_bytes())
    except (yaml.YAMLError, ValueError, RecursionError):
        return False
    return True


def read_model(path: Path) -> bool:
    """A model YAML; some are built."""
    known = _is_yaml(path)
    spec = read_spec(str(path))
    if sum(path.read_bytes()) % BUILT == 0 and spec.label:
        build_model(str(path))
    return known


def read_placement(path: Path) -> bool:
    """The words of --attention, one a line."""
    read_spec("yolov5n", attention=tuple(path.read_text(encoding="utf-8").splitlines()))
    return True


def read_data(path: Path) -> bool:
    """A data YAML, with a little data set beside it."""
    known = _is_yaml(path)
    folder = path.parent / "images"
    if not folder.exists():
        folder.mkdir()
        cv2.imwrite(str(folder / "a.png"), np.zeros((8, 8, 3), np.uint8))
    load_dataset(path)
    return known


def read_hyp(path: Path) -> bool:
    """A file of hyperparameters."""
    known = _is_yaml(path)
    hyperparameters.read(str(path), LOSS_KEYS)
    return known


def read_a_study(path: Path) -> bool:
    """A study."""
    known = _is_yaml(path)
    read_study(path)
    return known


def read_labels(path: Path) -> bool:
    """YOLO text."""
    issues: list[Issue] = []
    raw = yolo.read_labels(path, *SIZE, 3, issues)
    _check(make_record(path, *SIZE, raw, issues))
    return bool(raw.rows)


def read_voc(path: Path) -> bool:
    """An annotation of PASCAL VOC."""
    issues: list[Issue] = []
    known = voc.parse_xml(path, issues) is not None
    split = voc.read_split("train", [Source(path.parent)], ("cat", "dog"), "devkit", _stub)
    for record in split:
        _check(record)
    voc.find_classes([Source(path.parent)])
    return known


def read_coco(path: Path) -> bool:
    """A COCO JSON."""
    try:
        json.loads(path.read_bytes())
        known = True
    except (ValueError, RecursionError):
        known = False
    source = Source(path.parent, path)
    names = tuple(dict.fromkeys(coco.find_categories([source]).values()))
    split, _ = coco.read_split("train", [source], names, path.parent, _stub)
    for record in split:
        _check(record)
    return known


def read_list(path: Path) -> bool:
    """A list of images, for training and for detection."""
    yolo.find_images(Source(path), path.parent, [])
    sources.list_files(str(path))
    return True


def read_image(path: Path) -> bool:
    """An image."""
    metadata = probe(path)
    shown = image_io.read(path)
    assert metadata.width == 0 or shown is not None, "probe() calls usable what cannot be decoded"
    if shown is not None and metadata.width:
        assert shown.shape[:2] == (metadata.height, metadata.width), (shown.shape, metadata)
        assert fingerprint(path) is not None
    return shown is not None or sniff(path) is not None


def _check(record: Any) -> None:
    """What every record promises, whatever it was made from."""
    boxes = record.boxes_xyxy
    assert np.isfinite(boxes).all()
    assert np.isfinite(record.area).all()
    assert (boxes >= 0).all()
    assert (boxes <= [record.width, record.height] * 2).all()
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    assert len(record.classes) == len(record.difficult) == len(record.crowd) == len(boxes)


def _yaml_cases(files: list[Path], more: tuple[Any, ...] = ()) -> st.SearchStrategy[bytes]:
    """Changed trees, written as YAML; a tenth as changed bytes, which mostly stop at the parser."""
    seeds = [*(yaml.safe_load(file.read_text(encoding="utf-8")) for file in files), *more]
    raw = [file.read_bytes() for file in files]
    changed = st.sampled_from(seeds).flatmap(trees).map(_as_yaml)
    return _mostly(changed, st.sampled_from(raw).flatmap(contents))


def _mostly(often: st.SearchStrategy[bytes], seldom: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    return st.integers(0, 9).flatmap(lambda number: often if number else seldom)


def _as_yaml(tree: Any) -> bytes:
    return yaml.safe_dump(tree, allow_unicode=True, sort_keys=False).encode("utf-8", "surrogatepass")


def _as_json(tree: Any) -> bytes:
    return json.dumps(tree, default=str, skipkeys=True).encode("utf-8", "surrogatepass")


def targets() -> dict[str, Target]:
    """All targets by name."""
    models = [*sorted((ROOT / "cfg" / "attention").glob("*.yaml")), *sorted((ROOT / "cfg").glob("yolov*/*.yaml"))]
    placements = ["CBAM@neck.P3,neck.P4\nSE@backbone.C3", "SKAttention@backbone.P3", "ECA@9\nGAM@neck.P5"]
    hyps, studies = sorted((ROOT / "cfg" / "hyp").glob("*.yaml")), sorted((ROOT / "cfg" / "study").glob("*.yaml"))
    ours = [ROOT / "data" / f"{name}.yaml" for name in ("bccd", "VOC", "coco", "coco128")]
    lists = ["images/a.png\n./images/b c.jpg\nimages/../images/a.png\n", "a.png 1\nb.png -1\n"]

    def lines(seeds: list[str]) -> st.SearchStrategy[bytes]:
        return st.sampled_from(seeds).flatmap(texts).map(lambda text: text.encode("utf-8", "surrogatepass"))

    tree = coco_tree()
    return {
        "model": Target(".yaml", _yaml_cases(models), read_model, 14),
        "placement": Target(".txt", lines(placements), read_placement, 5),
        "data": Target(".yaml", _yaml_cases(ours, data_trees()), read_data, 12),
        "hyp": Target(".yaml", _yaml_cases(hyps), read_hyp, 6),
        "study": Target(".yaml", _yaml_cases(studies), read_a_study, 7),
        "labels": Target(".txt", lines(labels()), read_labels, 18),
        "voc": Target(".xml", _mostly(elements(XML), contents(XML.encode())), read_voc, 12),
        "coco": Target(".json", _mostly(trees(tree).map(_as_json), contents(_as_json(tree))), read_coco, 8),
        "list": Target(".txt", lines(lists), read_list, 3),
        "image": Target(".jpg", st.sampled_from(images_as_bytes()).flatmap(images_of), read_image, 15),
    }


def run(target: Target, content: bytes, folder: Path) -> tuple[bool, str]:
    """Read one file.

    Returns:
        Whether its format's parser accepted it, and the refusal; empty where it was used.

    Raises:
        AssertionError: if a refusal is not one short line, or a promise is broken.
        Exception: whatever the reader lets through and should not.
    """
    path = folder / f"case{target.suffix}"
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what a reader warns of is no traceback
        try:
            return target.read(path), ""
        except REFUSALS as error:
            message = " ".join(str(error).split())
            assert message, "a refusal without a word"
            assert len(message) < 1500, f"a refusal of {len(message)} characters: {message[:300]}"
            return _parses(target, path), message


def _parses(target: Target, path: Path) -> bool:
    """Whether a refused file is well-formed."""
    try:
        if target.suffix == ".yaml":
            return _is_yaml(path)
        if target.suffix == ".json":
            json.loads(path.read_bytes())
        elif target.suffix == ".xml":
            ElementTree.fromstring(path.read_bytes())
    except (ValueError, LookupError, RecursionError, ElementTree.ParseError):  # LookupError: an unknown encoding
        return False
    return True
