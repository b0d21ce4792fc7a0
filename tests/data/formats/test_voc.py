"""PASCAL VOC: trees, lists, corners, classes, hostile XML."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from data import DataError, load_dataset


@pytest.fixture
def tree(tmp_path: Path, image: Callable[..., Path], voc_xml: Callable[..., Path]) -> Callable[..., Path]:
    """Writes a VOC tree from {stem: objects} and lists {name: text}; returns its folder."""

    def write(content: dict[str, list[tuple]], lists: dict[str, str], name: str = "VOC2007") -> Path:
        root = tmp_path / name
        for stem, objects in content.items():
            image(root / "JPEGImages" / f"{stem}.jpg")
            voc_xml(root / "Annotations" / f"{stem}.xml", objects)
        (root / "ImageSets" / "Main").mkdir(parents=True)
        for list_name, text in lists.items():
            (root / "ImageSets" / "Main" / f"{list_name}.txt").write_text(text, encoding="utf-8")
        return root

    return write


def test_corners_plain_and_devkit(tree: Callable[..., Path]) -> None:
    root = tree({"a": [("cat", 1, 1, 100, 80)]}, {"train": "a\n"})
    content = {"path": str(root), "train": "train", "names": ["cat"]}
    plain = load_dataset({**content, "corners": "plain"}).records[0]
    devkit = load_dataset({**content, "corners": "devkit"}).records[0]
    np.testing.assert_array_equal(plain.boxes_xyxy, [[1, 1, 100, 80]])
    np.testing.assert_array_equal(devkit.boxes_xyxy, [[0, 0, 100, 80]])  # pixel 1 to pixel 100: the whole image


def test_reversed_corners_keep_the_devkit_pixels(tree: Callable[..., Path]) -> None:
    root = tree({"a": [("cat", 30, 20, 11, 5)]}, {"train": "a\n"})
    dataset = load_dataset(
        {"path": str(root), "train": "train", "names": ["cat"], "format": "voc", "corners": "devkit"}
    )
    np.testing.assert_array_equal(dataset.records[0].boxes_xyxy, [[10, 4, 30, 20]])
    assert [issue.kind for issue in dataset.issues] == ["reversed"]


def test_bare_tree_finds_classes_and_splits(tree: Callable[..., Path]) -> None:
    root = tree(
        {"a": [("dog", 1, 1, 9, 9), ("cat", 2, 2, 8, 8, 1)], "b": [("ant & bee", 1, 1, 9, 9)]},
        {"train": "a\n", "val": "b\n"},
    )
    dataset = load_dataset(root)
    assert dataset.format == "voc"
    assert dataset.names == {0: "ant & bee", 1: "cat", 2: "dog"}
    assert dataset["train"].records[0].classes.tolist() == [2, 1]
    assert dataset["train"].records[0].difficult.tolist() == [False, True]
    assert load_dataset(root, split="val").names == dataset.names


def test_years_are_joined_and_class_lists_read(tree: Callable[..., Path], tmp_path: Path) -> None:
    tree({"a": [("cat", 1, 1, 9, 9)], "b": []}, {"trainval": "a\nb\n"})
    tree({"c": [("cat", 1, 1, 9, 9)], "d": []}, {"cat_train": "c  1\nd -1\n"}, "VOC2012")
    dataset = load_dataset(
        {"path": str(tmp_path), "train": ["VOC2007/trainval", "VOC2012/ImageSets/Main/cat_train.txt"], "names": ["cat"]}
    )
    assert [record.path.stem for record in dataset.records] == ["a", "b", "c", "d"]
    assert [record.image_id for record in dataset.records] == [0, 1, 2, 3]


def test_xml_beside_the_images(tmp_path: Path, image: Callable[..., Path], voc_xml: Callable[..., Path]) -> None:
    image(tmp_path / "train" / "a b.PNG")
    voc_xml(tmp_path / "train" / "a b.xml", [("cat", 1, 2, 30, 40)])
    dataset = load_dataset({"path": str(tmp_path), "train": "train", "names": ["cat"]})
    assert dataset.format == "voc"
    assert dataset.records[0].path.name == "a b.PNG"


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        (("cow", 1, 1, 9, 9), "unknown-class"),
        (("cat", 5, 5, 5, 5), "zero-size"),
        (("cat", 5, 5, 5, 9), "zero-size"),
        (("cat", "x", 5, 7, 9), "not-a-number"),
        (("cat", "", 5, 7, 9), "not-a-number"),
        (("cat", 500, 5, 700, 9), "outside"),
    ],
)
@pytest.mark.parametrize("corners", ["plain", "devkit"])
def test_a_bad_object_is_dropped_alone(tree: Callable[..., Path], row: tuple, kind: str, corners: str) -> None:
    root = tree({"a": [("cat", 1, 1, 9, 9), row, ("cat", 2, 2, 9, 9)]}, {"train": "a\n"})
    dataset = load_dataset({"path": str(root), "train": "train", "names": ["cat"], "corners": corners})
    assert [(issue.row, issue.kind, issue.action) for issue in dataset.issues] == [(2, kind, "dropped")]
    assert len(dataset.records[0]) == 2


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "well-formed"),
        (b"<annotation><object>", "well-formed"),
        (b"\xff\xfe\x00", "well-formed"),
        (b'<?xml version="1.0" encoding="klingon"?><a/>', "well-formed"),
        (b'<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><annotation>&e;</annotation>', "document type"),
    ],
)
def test_hostile_xml_costs_one_image(tree: Callable[..., Path], content: bytes, word: str) -> None:
    root = tree({"a": [], "b": [("cat", 1, 1, 9, 9)]}, {"train": "a\nb\n"})
    (root / "Annotations" / "a.xml").write_bytes(content)
    dataset = load_dataset({"path": str(root), "train": "train", "names": ["cat"]})
    assert [record.path.stem for record in dataset.records] == ["b"]
    assert [(issue.kind, issue.action) for issue in dataset.issues] == [("unreadable-label", "image skipped")]
    assert word in dataset.issues[0].message


def test_missing_files_wrong_sizes_and_paths_in_lists(
    tree: Callable[..., Path], voc_xml: Callable[..., Path], image: Callable[..., Path]
) -> None:
    root = tree({"a": [("cat", 1, 1, 9, 9)]}, {"train": "a\nno_image\nno_xml\n../../etc/passwd\n"})
    voc_xml(root / "Annotations" / "no_image.xml", [])
    voc_xml(root / "Annotations" / "a.xml", [("cat", 1, 1, 9, 9)], width=0, height=0)
    image(root / "JPEGImages" / "no_xml.jpg")
    dataset = load_dataset({"path": str(root), "train": "train", "names": ["cat"]})
    assert len(dataset) == 1
    assert sorted((issue.kind, issue.file.name) for issue in dataset.issues) == [
        ("bad-path", "train.txt"),
        ("missing", "no_image.jpg"),
        ("no-label", "no_xml.xml"),
        ("size-mismatch", "a.xml"),
    ]


def test_objects_without_a_box_and_huge_files(tree: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    root = tree({"a": [("cat", 1, 1, 9, 9)], "b": [("cat", 1, 1, 9, 9)]}, {"train": "a\nb\n"})
    file = root / "Annotations" / "a.xml"
    file.write_text("<annotation><object><name>cat</name></object></annotation>", encoding="utf-8")
    monkeypatch.setattr("data.formats.voc_xml._MAX_XML", 200)
    dataset = load_dataset({"path": str(root), "train": "train", "names": ["cat"]})
    assert [(issue.file.stem, issue.kind, issue.action) for issue in dataset.issues] == [
        ("a", "no-box", "dropped"),
        ("b", "unreadable-label", "image skipped"),
    ]


def test_places_without_annotations(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    content = {"path": str(tmp_path), "train": "empty", "format": "voc"}
    with pytest.raises(DataError, match=r"no annotated images for split 'train'; expected XML files"):
        load_dataset({**content, "names": ["cat"]})
    with pytest.raises(DataError, match=r"no objects in its XML files; write names:"):
        load_dataset(content)


def test_no_such_list(tree: Callable[..., Path]) -> None:
    root = tree({"a": [("cat", 1, 1, 9, 9)]}, {"train": "a\n"})
    with pytest.raises(DataError, match=r"trian: no such list or folder \(nor .*Main/trian.txt\)"):
        load_dataset({"path": str(root), "train": "trian", "names": ["cat"], "format": "voc"})


def test_blood_cells(shared: Path) -> None:
    dataset = load_dataset("bccd", data_root=shared / "data" / "bccd")
    assert {name: len(split) for name, split in dataset.splits.items()} == {"train": 205, "val": 87, "test": 72}
    counts = np.bincount(np.concatenate([record.classes for record in dataset]))
    # SOURCES.md: RBC 4155, WBC 372, Platelets 361, of which two RBC boxes have no size
    assert dict(zip(dataset.names.values(), counts.tolist(), strict=True)) == {
        "Platelets": 361,
        "RBC": 4153,
        "WBC": 372,
    }
    zero = [(issue.file.name, issue.row, issue.kind) for issue in dataset.issues]
    assert zero == [("BloodImage_00343.xml", 4, "zero-size"), ("BloodImage_00338.xml", 13, "zero-size")]
    first = next(record for record in dataset if record.path.stem == "BloodImage_00000")
    np.testing.assert_array_equal(first.boxes_xyxy[0], [260, 177, 491, 376])


def test_an_id_may_end_in_a_number(tree: Callable[..., Path]) -> None:
    boxes = [("cat", 1, 1, 9, 9)]
    root = tree({"photo": boxes, "photo 1": boxes, "photo 2": boxes}, {"train": "photo\nphoto 1\nphoto 2\n"})
    dataset = load_dataset({"path": str(root), "train": "train", "names": ["cat"]})
    assert [record.path.stem for record in dataset["train"]] == ["photo", "photo 1", "photo 2"]


@pytest.mark.parametrize(
    ("lines", "ids"),
    [
        ("photo 1\nother -1\n", ["photo", "other"]),  # the devkit's class list: every line has the flag
        ("photo 1\nphoto 2\n", ["photo 1", "photo 2"]),
        ("photo 0\nphoto 1\n", ["photo", "photo 1"]),  # flags would name photo twice; there is no "photo 0"
        ("photo 2.jpg\n.\\photo\n", ["photo 2", "photo"]),
    ],
)
def test_the_devkits_flag_is_taken_for_one_only_where_it_fits(
    tree: Callable[..., Path], lines: str, ids: list[str]
) -> None:
    boxes = [("cat", 1, 1, 9, 9)]
    root = tree({"photo": boxes, "photo 1": boxes, "photo 2": boxes, "other": boxes}, {"train": lines})
    dataset = load_dataset({"path": str(root), "train": "train", "names": ["cat"]})
    assert [record.path.stem for record in dataset["train"]] == ids
    assert not dataset.issues


@pytest.mark.parametrize(
    ("encoding", "declared", "name"),
    [
        ("gbk", "GBK", "细胞"),
        ("gb18030", "gb2312", "细胞"),
        ("shift_jis", "Shift_JIS", "細胞"),
        ("euc_kr", "euc-kr", "세포"),
    ],
)
def test_declared_encodings_are_read(tree: Callable[..., Path], encoding: str, declared: str, name: str) -> None:
    root = tree({"a": [(name, 1, 1, 9, 9)]}, {"train": "a\n"})
    file = root / "Annotations" / "a.xml"
    text = f'<?xml version="1.0" encoding="{declared}"?>\n' + file.read_text(encoding="utf-8")
    file.write_bytes(text.encode(encoding))
    dataset = load_dataset({"path": str(root), "train": "train"})
    assert dataset.names == {0: name}
    assert [len(record) for record in dataset] == [1]


def test_an_undeclared_encoding_is_named_as_the_cause(tree: Callable[..., Path]) -> None:
    root = tree({"a": [("细胞", 1, 1, 9, 9)], "b": [("x", 1, 1, 9, 9)]}, {"train": "a\nb\n"})
    file = root / "Annotations" / "a.xml"
    file.write_bytes(file.read_text(encoding="utf-8").encode("gbk"))
    dataset = load_dataset({"path": str(root), "train": "train", "names": ["x"]})
    assert [(issue.kind, "save it as UTF-8" in issue.message) for issue in dataset.issues] == [
        ("unreadable-label", True)
    ]


def test_entities_hidden_by_an_encoding_are_refused(tree: Callable[..., Path]) -> None:
    root = tree({"a": [("x", 1, 1, 9, 9)], "b": [("x", 1, 1, 9, 9)]}, {"train": "a\nb\n"})
    text = '<?xml version="1.0" encoding="gbk"?><!DOCTYPE a [<!ENTITY e "e">]><annotation>&e;</annotation>'
    (root / "Annotations" / "a.xml").write_bytes(text.encode("gbk"))
    dataset = load_dataset({"path": str(root), "train": "train", "names": ["x"]})
    assert [issue.message for issue in dataset.issues] == ["declares a document type; annotation files need none"]


def test_images_without_an_xml_are_counted(tree: Callable[..., Path], image: Callable[..., Path]) -> None:
    root = tree({"a": [("x", 1, 1, 9, 9)]}, {})
    for name in ("b.png", "c.png"):
        image(root / "JPEGImages" / name)
    dataset = load_dataset({"path": str(root), "train": ".", "names": ["x"]})
    assert [(issue.kind, issue.message) for issue in dataset.issues] == [
        ("no-label", "2 images have no XML in Annotations")
    ]
