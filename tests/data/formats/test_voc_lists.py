"""Lists of a PASCAL VOC data set outside ImageSets/Main: beside the images and XML files that they name."""

import pytest

from data import DataError, load_dataset

CONTENT = {"train": "train.txt", "val": "val.txt", "format": "voc"}


@pytest.mark.parametrize("written", ["{}", "{}.jpg", "./{}.jpg", "{}.xml"])
def test_images_and_xml_in_one_folder(tmp_path, image, voc_xml, written):
    for stem in "abc":
        image(tmp_path / f"{stem}.jpg")
        voc_xml(tmp_path / f"{stem}.xml", [("cat", 1, 2, 30, 40)])
    (tmp_path / "train.txt").write_text("".join(written.format(stem) + "\n" for stem in "ab"))
    (tmp_path / "val.txt").write_text(written.format("c") + "\n")
    dataset = load_dataset({"path": str(tmp_path), **CONTENT})
    assert dataset.names == {0: "cat"}
    assert [[record.path.stem for record in dataset[split]] for split in ("train", "val")] == [["a", "b"], ["c"]]
    assert dataset["val"].records[0].boxes_xyxy.tolist() == [[1, 2, 30, 40]]
    assert not dataset.issues


@pytest.mark.parametrize("xml_folder", ["Annotations", "photos"])
def test_paths_relative_to_the_list(tmp_path, image, voc_xml, xml_folder):
    for stem in "ab":
        image(tmp_path / "photos" / f"{stem}.jpg")
        voc_xml(tmp_path / xml_folder / f"{stem}.xml", [("cat", 1, 2, 30, 40)])
    (tmp_path / "train.txt").write_text("photos/a.jpg\n")
    (tmp_path / "val.txt").write_text("photos\\b.jpg\nphotos/../../c.jpg\n")
    dataset = load_dataset({"path": str(tmp_path), **CONTENT})
    assert [dataset[split].records[0].path.name for split in ("train", "val")] == ["a.jpg", "b.jpg"]
    assert [issue.kind for issue in dataset.issues] == ["bad-path"]


@pytest.mark.parametrize("line", ['"photo 1"', "'photo 1',", '"images\\photo 1.jpg"', "photo 1, ", '"photo 1" 1'])
def test_quotes_and_commas(tmp_path, image, voc_xml, line):
    image(tmp_path / "images" / "photo 1.jpg")
    voc_xml(tmp_path / "Annotations" / "photo 1.xml", [("cat", 1, 2, 30, 40)])
    (tmp_path / "train.txt").write_text(f"{line}\n")
    dataset = load_dataset({"path": str(tmp_path), "train": "train.txt", "format": "voc"})
    assert [(record.path.stem, len(record)) for record in dataset] == [("photo 1", 1)]
    assert not dataset.issues


def test_where_xml_was_looked_for_is_said(tmp_path, image):
    for name in ("train", "val"):
        image(tmp_path / f"{name}.jpg")
        (tmp_path / f"{name}.txt").write_text(f"{name}.jpg\n")
    with pytest.raises(DataError, match=r"none of 2 images has an XML file; looked for \S+train\.xml"):
        load_dataset({"path": str(tmp_path), **CONTENT})
