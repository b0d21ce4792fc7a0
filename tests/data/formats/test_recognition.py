"""The format of a data set, by what its lists and folders hold."""

from collections.abc import Callable
from pathlib import Path

import pytest

from data import load_dataset, read_config
from data.formats.recognition import recognise_format

BOX = "0 0.5 0.5 0.2 0.2\n"


@pytest.fixture
def tree(tmp_path: Path, image: Callable[..., Path], voc_xml: Callable[..., Path]) -> Callable[..., Path]:
    """Write images/a … c with XML files and label files for some of them."""

    def write(xml: str, labels: str, xml_folder: str = "Annotations", images: str = "images") -> Path:
        for stem in "abc":
            image(tmp_path / images / f"{stem}.png")
        for stem in xml:
            voc_xml(tmp_path / xml_folder / f"{stem}.xml", [("cat", 1, 1, 9, 9)])
        for stem in labels:
            file = tmp_path / images.replace("images", "labels") / f"{stem}.txt"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(BOX, encoding="utf-8")
        return tmp_path

    return write


def form(root: Path, **content: str) -> str:
    return recognise_format(read_config({"path": str(root), "names": ["cat"], **content}))[0]


def test_a_list_of_image_paths_in_a_voc_tree_is_yolo(tree: Callable[..., Path]) -> None:
    root = tree("abc", "abc")
    main = root / "ImageSets" / "Main"
    main.mkdir(parents=True)
    (main / "train.txt").write_text("a\nb\nc\n", encoding="utf-8")
    (root / "train.txt").write_text("./images/a.png\n./images/b.png\n", encoding="utf-8")
    assert form(root, train="train.txt") == "yolo"
    assert form(root, train="ImageSets/Main/train.txt") == "voc"
    assert len(load_dataset({"path": str(root), "train": "train.txt", "names": ["cat"]})) == 2


@pytest.mark.parametrize(
    ("xml", "labels", "folder", "expected"),
    [
        ("a", "abc", "images", "yolo"),  # one stray XML beside the images
        ("abc", "abc", "images", "yolo"),  # complete labels, XML left beside the images
        ("abc", "a", "images", "voc"),
        ("abc", "", "images", "voc"),
        ("abc", "", "Annotations", "yolo"),  # those of another folder are not the source's
        ("", "", "images", "yolo"),
    ],
)
def test_a_folder_is_what_most_of_its_images_have(
    tree: Callable[..., Path], xml: str, labels: str, folder: str, expected: str
) -> None:
    assert form(tree(xml, labels, folder), train="images") == expected


def test_a_second_kind_of_labels_is_said_and_can_be_chosen(tree: Callable[..., Path]) -> None:
    content = {"path": str(tree("ab", "abc", "images")), "train": "images", "names": ["cat"]}
    dataset = load_dataset(content)
    assert [len(record) for record in dataset] == [1, 1, 1]
    notes = [issue for issue in dataset.issues if issue.kind == "two-formats"]
    assert [issue.action for issue in notes] == ["yolo read"]
    assert "3 YOLO label files and 2 XML files" in notes[0].message
    chosen = load_dataset({**content, "format": "voc"})
    assert [issue.message for issue in chosen.issues] == ["1 images have no XML in images"]
    assert len(chosen) == 2
