"""COCO JSON: ids with gaps, crowds, segmentations, odd entries, where images are looked for."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data import DataError, load_dataset


@pytest.fixture
def coco(tmp_path: Path, image: Callable[..., Path]) -> Callable[..., dict[str, Any]]:
    """Writes annotations/x.json with two images (ids 7 and 3) and returns a data YAML's content."""

    def write(annotations: list, categories: list | None = None, images: list | None = None) -> dict[str, Any]:
        for name in ("a.png", "b.png"):
            image(tmp_path / "images" / "val" / name)
        if images is None:
            images = [
                {"id": 7, "file_name": "a.png", "width": 100, "height": 80},
                {"id": 3, "file_name": "b.png", "width": 100, "height": 80},
            ]
        if categories is None:
            categories = [{"id": 90, "name": "dog"}, {"id": 18, "name": "cat"}]
        file = tmp_path / "annotations" / "instances_val.json"
        file.parent.mkdir(exist_ok=True)
        content = {"annotations": annotations, "images": images, "info": {}, "categories": categories}
        file.write_text(json.dumps(content), encoding="utf-8")
        return {"path": str(tmp_path), "val": "annotations/instances_val.json"}

    return write


def annotation(**changes: Any) -> dict[str, Any]:
    content = {"id": 1, "image_id": 7, "category_id": 18, "bbox": [10, 20, 30, 40], "area": 600.5, "iscrowd": 0}
    return {key: value for key, value in (content | changes).items() if value is not None}


def test_ids_with_gaps_order_areas_and_crowds(coco: Callable[..., dict]) -> None:
    dataset = load_dataset(
        coco([annotation(), annotation(id=2, category_id=90, iscrowd=1), annotation(id=3, image_id=3, area=None)])
    )
    assert dataset.format == "coco"
    assert dataset.names == {0: "cat", 1: "dog"}  # in the order of their ids
    assert dataset.category_ids == {0: 18, 1: 90}
    first, second = dataset.records
    assert (first.image_id, second.image_id) == (7, 3)
    assert first.classes.tolist() == [0, 1]
    assert first.crowd.tolist() == [False, True]
    assert first.area.tolist() == [600.5, 600.5]
    assert second.area.tolist() == [1200.0]
    np.testing.assert_array_equal(first.boxes_xyxy[0], [10, 20, 40, 60])


def test_names_of_the_yaml_give_the_order_and_drop_the_rest(coco: Callable[..., dict]) -> None:
    content = coco([annotation(), annotation(id=2, category_id=90), annotation(id=3, category_id=90)])
    dataset = load_dataset({**content, "names": ["bird", "cat"]})
    assert dataset.records[0].classes.tolist() == [1]
    assert dataset.category_ids == {1: 18}
    assert [(issue.kind, issue.action) for issue in dataset.issues] == [("unknown-class", "dropped")]
    assert "category 90 (dog)" in dataset.issues[0].message
    assert "2 annotations" in dataset.issues[0].message
    with pytest.raises(DataError, match=r"none of its categories \(dog, cat …\)"):
        load_dataset({**content, "names": ["bird"]})


def test_a_segmentation_gives_the_box_that_is_missing(coco: Callable[..., dict]) -> None:
    polygon = [[10, 10, 40.5, 10, 40.5, 30], [5, 20, 6, 20, 6, 22]]
    dataset = load_dataset(
        coco([annotation(bbox=None, segmentation=polygon), annotation(id=2, bbox=None, segmentation={"size": 3})])
    )
    np.testing.assert_array_equal(dataset.records[0].boxes_xyxy, [[5, 10, 40.5, 30]])
    assert [(issue.row, issue.kind, issue.action) for issue in dataset.issues] == [
        (1, "segmentation", "used"),
        (2, "segmentation", "dropped"),
    ]


@pytest.mark.parametrize(
    ("bad", "kind"),
    [
        (annotation(id=2, bbox=None), "no-box"),
        (annotation(id=2, bbox=[1, 2, 3]), "no-box"),
        (annotation(id=2, bbox="1 2 3 4"), "no-box"),
        (annotation(id=2, bbox=[1, 2, 0, 5]), "zero-size"),
        (annotation(id=2, bbox=[1, 2, float("nan"), 5]), "not-a-number"),
        (annotation(id=2, bbox=[1, 2, "three", 5]), "not-a-number"),
        (annotation(id=2, bbox=[10**400, 2, 3, 5]), "not-a-number"),
        (annotation(id=2, bbox=[200, 2, 3, 5]), "outside"),
        (annotation(id=2, image_id=99), "no-image"),
        (annotation(id=2, image_id="seven"), "bad-entry"),
        (annotation(id=2, category_id=None), "bad-entry"),
        ("text", "bad-entry"),
    ],
)
def test_a_bad_annotation_is_dropped_alone(coco: Callable[..., dict], bad: Any, kind: str) -> None:
    dataset = load_dataset(coco([annotation(), bad, annotation(id=3, bbox=[1, 1, 5, 5])]))
    assert [len(record) for record in dataset] == [2, 0]
    assert [(issue.kind, issue.action) for issue in dataset.issues] == [(kind, "dropped")]


def test_wrong_sizes_missing_images_and_repeated_ids(coco: Callable[..., dict]) -> None:
    images = [
        {"id": 1, "file_name": "a.png", "width": 80, "height": 100},
        {"id": 2, "file_name": "gone.png", "width": 10, "height": 10},
        {"id": 1, "file_name": "b.png"},
        {"id": 4},
    ]
    dataset = load_dataset(coco([], images=images))
    assert [record.path.name for record in dataset] == ["a.png"]
    assert sorted(issue.kind for issue in dataset.issues) == ["bad-entry", "missing", "repeated", "size-mismatch"]


def test_where_the_images_are(coco: Callable[..., dict], tmp_path: Path) -> None:
    content = coco([annotation()])
    (tmp_path / "images").rename(tmp_path / "photos")
    with pytest.raises(DataError, match=r"write val: \{images: FOLDER, annotations: instances_val.json\}"):
        load_dataset(content)
    explicit = {"images": "photos/val", "annotations": "annotations/instances_val.json"}
    assert len(load_dataset({**content, "val": explicit})) == 2
    assert len(load_dataset({**content, "val": "photos/val", "annotations": {"val": content["val"]}})) == 2


@pytest.mark.parametrize("text", ["[]", "{}", '{"images": 3}', "{", "", "\x00", '{"images": [' + "[" * 100_000])
def test_no_coco_json(coco: Callable[..., dict], tmp_path: Path, text: str) -> None:
    content = coco([])
    (tmp_path / "annotations" / "instances_val.json").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"instances_val\.json") as error:
        load_dataset(content)
    assert "\n" not in str(error.value)


def test_two_files_that_disagree_about_a_category(coco: Callable[..., dict], tmp_path: Path) -> None:
    content = coco([])
    file = tmp_path / "annotations" / "other.json"
    file.write_text((tmp_path / content["val"]).read_text().replace("dog", "cow"), encoding="utf-8")
    with pytest.raises(DataError, match="category 90 is 'dog' here, 'cow' in another split"):
        load_dataset({**content, "train": "annotations/other.json"})


@pytest.mark.parametrize(
    "written",
    [
        {"image_id": "7"},
        {"image_id": 7.0, "category_id": " 18 "},
        {"bbox": ["1", "2", "30", "5.0"], "area": "150"},
        {"iscrowd": "0"},
    ],
)
def test_numbers_in_quotes_are_read(coco: Callable[..., dict], written: dict) -> None:
    plain = {"image_id": 7, "category_id": 18, "bbox": [1, 2, 30, 5], "area": 150}
    dataset = load_dataset(coco([annotation(**plain | written)]))
    assert not dataset.issues
    assert dataset["val"].records[0].boxes_xyxy.tolist() == [[1, 2, 31, 7]]
    assert dataset["val"].records[0].area.tolist() == [150]


def test_text_ids_are_named_as_the_cause(coco: Callable[..., dict], tmp_path: Path) -> None:
    content = coco([])
    file = tmp_path / content["val"]
    text = json.loads(file.read_text(encoding="utf-8"))
    for entry in text["images"]:
        entry["id"] = f"im{entry['id']}"
    file.write_text(json.dumps(text), encoding="utf-8")
    with pytest.raises(DataError, match=r"the id 'im\d+' is text; ids must be whole numbers"):
        load_dataset(content)


def test_backslashes_are_tried_as_separators(coco: Callable[..., dict], tmp_path: Path) -> None:
    content = coco([annotation()])
    file = tmp_path / content["val"]
    text = json.loads(file.read_text(encoding="utf-8"))
    before = [record.path for record in load_dataset(content)]
    for entry in text["images"]:
        entry["file_name"] = f".\\{entry['file_name']}"
    file.write_text(json.dumps(text), encoding="utf-8")
    assert [record.path.resolve() for record in load_dataset(content)] == before


@pytest.mark.parametrize("start", ["C:\\data\\val\\", "/home/me/data/val/", "../data/media/", "D:/"])
def test_names_of_another_machine(coco: Callable[..., dict], tmp_path: Path, start: str) -> None:
    content = coco([annotation()])
    file = tmp_path / content["val"]
    text = json.loads(file.read_text(encoding="utf-8"))
    before = [record.path for record in load_dataset(content)]
    for entry in text["images"]:
        entry["file_name"] = start + entry["file_name"]
    text["images"].append({"id": 8, "file_name": f"{start}c.png"})
    file.write_text(json.dumps(text), encoding="utf-8")
    for entry in (content["val"], {"images": "images/val", "annotations": content["val"]}):
        dataset = load_dataset({**content, "val": entry})
        assert [record.path for record in dataset] == before
        assert [(issue.file.name, issue.kind) for issue in dataset.issues] == [("c.png", "missing")]


@pytest.mark.parametrize(
    ("ident", "message"),
    [
        ("cat-1", "has no usable category: the id 'cat-1' is text; ids must be whole numbers"),
        (10**25, "the id 1" + "0" * 25 + " is too large; ids must be whole numbers of at most 18 digits"),
        ("1" + "0" * 25, "is too large"),
        (1.5, "the id '1.5' is no whole number"),
        (None, "needs id and name"),
    ],
)
def test_ids_of_categories_that_cannot_be_used(coco: Callable[..., dict], ident: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_dataset(coco([annotation()], categories=[{"id": ident, "name": "cat"}]))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "gb18030"])
def test_encodings_of_the_json(coco: Callable[..., dict], tmp_path: Path, encoding: str) -> None:
    content = coco([annotation()], categories=[{"id": 18, "name": "细胞"}])
    text = json.loads((tmp_path / content["val"]).read_text(encoding="utf-8"))
    (tmp_path / content["val"]).write_bytes(json.dumps(text, ensure_ascii=False).encode(encoding))
    if encoding == "gb18030":
        with pytest.raises(
            DataError, match=r"instances_val\.json: cannot be read as JSON text: it is not UTF-8; save it"
        ):
            load_dataset(content)
    else:
        assert load_dataset(content).names == {0: "细胞"}


@pytest.mark.parametrize("start", ["{}/", "./{}/", "{}\\"])
def test_a_name_may_begin_with_the_folder_of_the_images(coco: Callable[..., dict], tmp_path: Path, start: str) -> None:
    content = coco([annotation()])
    file = tmp_path / content["val"]
    text = json.loads(file.read_text(encoding="utf-8"))
    before = [record.path for record in load_dataset(content)]
    folder = before[0].parent
    for entry in text["images"]:
        entry["file_name"] = start.format(folder.name) + entry["file_name"]
    file.write_text(json.dumps(text), encoding="utf-8")
    content["val"] = {"images": str(folder), "annotations": str(file)}
    assert [record.path.resolve() for record in load_dataset(content)] == before


def test_one_class_keeps_categories_without_a_name(coco: Callable[..., dict]) -> None:
    content = coco([annotation(), annotation(id=2, category_id=55, bbox=[2, 2, 5, 5])])
    assert sum(map(len, load_dataset(content))) == 1
    dataset = load_dataset(content, single_class=True)
    assert sum(map(len, dataset)) == 2
    assert set(dataset["val"].records[0].classes.tolist()) <= {0, 1, 2}
