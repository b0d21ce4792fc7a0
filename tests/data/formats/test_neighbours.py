"""Data sets as other tools leave them: labels in other folders, lists of other systems, names of other machines."""

import json
import unicodedata
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from data import load_dataset
from data.errors import DataError

IMAGES = ("a", "b")


@pytest.fixture
def tree(tmp_path: Path, image: Callable[..., Path], voc_xml: Callable[..., Path]) -> Callable[..., Path]:
    """Writes images and XML of one dog each, a list and a YAML whose `train` is given; returns the YAML."""

    def write(train: str, images: str, xmls: str | None = None, rows: str = "", **lists: str) -> Path:
        for stem in IMAGES:
            image(tmp_path / images / f"{stem}.png")
            if xmls is not None:
                voc_xml(tmp_path / xmls / f"{stem}.xml", [("dog", 10, 20, 30, 50)])
        for name, text in lists.items():
            (tmp_path / f"{name}.txt").write_text(text, encoding="utf-8")
        yaml = tmp_path / "data.yaml"
        yaml.write_text(f"train: {train}\nnames: [dog]\n{rows}", encoding="utf-8")
        return yaml

    return write


@pytest.mark.parametrize(
    ("train", "images", "xmls"),
    [
        ("images", "images", "annotations"),  # as Kaggle's
        ("annotations", "images", "annotations"),
        ("images/train", "images/train", "annotations/train"),
        ("annotations/train", "images/train", "annotations/train"),
        ("images/train", "images/train", "labels/train"),
        ("JPEGImages", "JPEGImages", "Annotations"),
    ],
)
def test_xml_in_a_folder_beside_that_of_the_images_is_read(tree, train: str, images: str, xmls: str) -> None:
    yaml = tree(train, images, xmls)
    if train == images:  # a folder of images has YOLO's labels unless one says otherwise
        assert "write format: voc into the data YAML" in load_dataset(yaml).issues[0].message
        yaml.write_text(f"{yaml.read_text()}format: voc\n")
    dataset = load_dataset(yaml)
    assert dataset.format == "voc"
    assert [record.boxes_xyxy.tolist() for record in dataset] == [[[10, 20, 30, 50]]] * 2


def test_a_folder_of_images_and_annotations_needs_no_yaml(tree, tmp_path: Path) -> None:
    tree("images", "images", "annotations").unlink()
    assert load_dataset(tmp_path).summary() == "train: 2 images, 2 boxes"


def test_labels_count_where_the_xml_that_they_were_made_from_lies_nearby(tree, tmp_path: Path) -> None:
    yaml = tree("images", "images", "annotations")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").write_text("0 0.5 0.5 0.2 0.5\n")  # b shows nothing, and has no label file
    dataset = load_dataset(yaml)
    assert dataset.format == "yolo"
    assert dataset.summary().startswith("train: 2 images, 1 boxes")


@pytest.mark.parametrize(
    "text",
    [
        "./images/a.png ./annotations/a.xml\nimages/b.png annotations/b.xml\n",  # PaddleDetection
        "/home/somebody/VOC/images/a.png\n/home/somebody/VOC/images/b.png\n",
        "VOC2007/images/a.png\nVOC2007/images/b.png\n",
        "a\nb\n",
    ],
)
def test_lists_of_images_with_xml(tree, text: str) -> None:
    dataset = load_dataset(tree("list.txt", "images", "annotations", list=text))
    assert (dataset.format, dataset.summary()) == ("voc", "train: 2 images, 2 boxes")


@pytest.mark.parametrize("beginning", ["data/", "build/darknet/x64/data/", "./data/", "data\\"])
def test_lists_that_begin_with_a_folder_of_another_machine(tree, tmp_path: Path, beginning: str) -> None:
    """CVAT and Darknet write data/obj/a.png, wherever obj lies."""
    text = "".join(f"{beginning}obj/{stem}.png\n" for stem in IMAGES)
    yaml = tree("list.txt", "obj", list=text)
    for stem in IMAGES:
        (tmp_path / "obj" / f"{stem}.txt").write_text("0 0.5 0.5 0.2 0.5\n")
    assert load_dataset(yaml).summary() == "train: 2 images, 2 boxes"


def test_an_image_that_is_missing_is_not_replaced_by_one_of_its_name_alone(tree, tmp_path: Path, image) -> None:
    image(tmp_path / "gone.png")
    dataset = load_dataset(tree("list.txt", "obj", list="obj/a.png\nobj/gone.png\n"))
    assert [record.path.name for record in dataset] == ["a.png"]
    assert dataset.summary().count("1 missing (image skipped)") == 1


@pytest.mark.parametrize("text", ["images/a.png 1,2,20,20,0 3,4,9,9,0\n", "images/a.png 0\n"])
def test_lists_with_boxes_or_classes_say_what_to_write(tree, text: str) -> None:
    with pytest.raises(DataError, match=r"list.txt: line 1 has .* behind the image images/a.png; write the path alone"):
        load_dataset(tree("list.txt", "images", list=text))


@pytest.mark.parametrize("ids", [["photo 1"], ["photo 1", "scan 0"]])
def test_ids_that_all_end_in_what_may_be_a_flag(tmp_path: Path, image, voc_xml, ids: list[str]) -> None:
    for name in ids:
        image(tmp_path / "JPEGImages" / f"{name}.png")
        voc_xml(tmp_path / "Annotations" / f"{name}.xml", [("dog", 10, 20, 30, 50)])
    (tmp_path / "list.txt").write_text("\n".join(ids))
    dataset = load_dataset({"path": str(tmp_path), "format": "voc", "train": "list.txt"})
    assert [record.path.stem for record in dataset] == ids


def test_a_coco_file_beside_images_without_labels_is_named(tree, tmp_path: Path) -> None:
    yaml = tree("train", "train")
    (tmp_path / "about.json").write_text("{}")
    (tmp_path / "train" / "_annotations.coco.json").write_text("{}")
    issue = load_dataset(yaml).issues[0]
    assert issue.kind == "labels-elsewhere"
    assert f"nearby lies {tmp_path}/train/_annotations.coco.json: if it is COCO's, write it as the split" in str(issue)


@pytest.mark.parametrize(
    ("suffix", "advice"), [(".xml", "put them beside the images"), (".json", "are not read"), (".txt", "name them so")]
)
def test_what_to_do_with_labels_elsewhere_depends_on_their_kind(tree, tmp_path: Path, suffix: str, advice: str) -> None:
    yaml = tree("images", "images")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / f"a{suffix}").write_text("")
    assert advice in load_dataset(yaml).issues[0].message


def test_an_empty_bbox_gives_way_to_the_segmentation(tree, tmp_path: Path) -> None:
    yaml = tree("all.json", "images")
    content = {
        "images": [{"id": 1, "file_name": "a.png", "width": 100, "height": 80}],
        "categories": [{"id": 3, "name": "dog"}],
        "annotations": [{"id": 7, "image_id": 1, "category_id": 3, "bbox": [], "segmentation": [[1, 2, 9, 2, 9, 12]]}],
    }
    (tmp_path / "all.json").write_text(json.dumps(content))
    assert load_dataset(yaml).records[0].boxes_xyxy.tolist() == [[1, 2, 9, 12]]


@pytest.mark.parametrize(
    ("row", "advice"),
    [
        ("0,0.5,0.5,0.2,0.2", "with spaces between"),
        ("0 0,5 0,5 0,2 0,2", "with points in numbers"),
        ("dog 0.5 0.5 0.2 0.2", "the class as its number"),
    ],
)
def test_rows_that_are_written_otherwise_say_how(yolo_set, row: str, advice: str) -> None:
    assert advice in load_dataset(yolo_set({"train": {"a": row}})).issues[0].message


@pytest.mark.parametrize(("on_disk", "written"), [("NFD", "NFC"), ("NFC", "NFD")])
def test_accents_as_macos_writes_them(tmp_path: Path, image, on_disk: str, written: str) -> None:
    """An accent, or the parts of a Korean letter, may be one character or several, and look the same."""
    name, other = (unicodedata.normalize(form, "café 사진") for form in (on_disk, written))
    image(tmp_path / "images" / f"{name}.png")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / f"{other}.txt").write_text("0 0.5 0.5 0.2 0.5\n")
    (tmp_path / "list.txt").write_text(f"images/{other}.png\n", encoding="utf-8")
    file = {"images": [{"id": 1, "file_name": f"{other}.png"}], "categories": [{"id": 3, "name": "dog"}]}
    (tmp_path / "all.json").write_text(json.dumps(file | {"annotations": []}))
    for train in ("images", "list.txt", "all.json"):
        records = load_dataset({"path": str(tmp_path), "train": train, "names": ["dog"]}).records
        assert [(record.path.stem, len(record)) for record in records] == [(name, int(train != "all.json"))]


def test_lvis_gives_the_address_of_an_image_and_no_name(tree, tmp_path: Path) -> None:
    yaml = tree("lvis.json", "train2017")
    address = "http://images.cocodataset.org/train2017/a.png"
    content = {"images": [{"id": 1, "coco_url": address}], "categories": [{"id": 3, "name": "dog"}]}
    box = {"id": 7, "image_id": 1, "category_id": 3, "bbox": [1, 2, 8, 10]}
    (tmp_path / "lvis.json").write_text(json.dumps(content | {"annotations": [box]}))
    (record,) = load_dataset(yaml).records
    assert (record.path, record.boxes_xyxy.tolist()) == (tmp_path / "train2017" / "a.png", [[1, 2, 9, 12]])


def test_jpegs_as_browsers_on_windows_call_them(tree, tmp_path: Path) -> None:
    yaml = tree("images", "images")
    pixels = np.full((80, 100, 3), 90, np.uint8)
    (tmp_path / "images" / "a.png").unlink()
    (tmp_path / "images" / "a.jfif").write_bytes(cv2.imencode(".jpg", pixels)[1].tobytes())
    (tmp_path / "images" / "a.txt").write_text("0 0.5 0.5 0.2 0.5\n")
    dataset = load_dataset(yaml)
    assert [record.path.name for record in dataset] == ["a.jfif", "b.png"]
    assert {issue.kind for issue in dataset.issues} == {"no-label"}  # of b
