"""The documents' YAML files and the rows that they name are read, and build what the pages say."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml

from data import load_dataset
from models import build_model, read_spec
from study.plan.study_spec import read_study
from study.scan.scan_spec import read_scan
from tests.documents import ROOT, blocks, snippet

SPPF = 9  # of yolov5n


def both(page: str) -> tuple[str, str]:
    return f"docs/{page}.md", f"docs/{page}.zh.md"


def yaml_blocks(page: str) -> list[str]:
    return [text for language, text in blocks(page) if language == "yaml"]


def write_image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((48, 64, 3), 90, np.uint8))


def write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def lay_out(folder: Path) -> None:
    """Write the three trees that the page on own data draws, with a box of one place and class in every image."""
    for split, name in (("train", "a"), ("val", "b"), ("test", "c")):
        write_image(folder / f"my-data/images/{split}/{name}.jpg")
        write_text(folder / f"my-data/labels/{split}/{name}.txt", "1 0.5 0.5 0.5 0.5\n")
        write_image(folder / f"my-voc/JPEGImages/{name}.jpg")
        corners = "<xmin>16</xmin><ymin>12</ymin><xmax>48</xmax><ymax>36</ymax>"
        found = f"<object><name>dog</name><bndbox>{corners}</bndbox></object>"
        write_text(folder / f"my-voc/Annotations/{name}.xml", f"<annotation>{found}</annotation>")
        write_text(folder / f"my-voc/ImageSets/Main/{split}.txt", f"{name}\n")
        write_image(folder / f"my-coco/{split}2017/{name}.jpg")
        content = (
            f'{{"images": [{{"id": 1, "file_name": "{name}.jpg", "width": 64, "height": 48}}],'
            ' "annotations": [{"id": 1, "image_id": 1, "category_id": 2, "bbox": [16, 12, 32, 24]}],'
            ' "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]}'
        )
        write_text(folder / f"my-coco/annotations/instances_{split}2017.json", content)


@pytest.mark.parametrize("page", both("own-data"))
def test_the_three_forms_of_own_data_are_read(page, tmp_path):
    lay_out(tmp_path)
    for name in ("my-data.yaml", "my-voc.yaml", "my-coco.yaml"):
        write_text(tmp_path / name, snippet(page, name))
        dataset = load_dataset(tmp_path / name)
        assert dataset.names == {0: "cat", 1: "dog"}
        assert len(dataset["train"]) == len(dataset["val"]) == 1
        for record in [*dataset["train"], *dataset["val"]]:
            assert record.classes.tolist() == [1]
            np.testing.assert_allclose(record.boxes_xyxy, [[16, 12, 48, 36]], atol=1e-3)
        assert not dataset.issues


@pytest.mark.parametrize("page", both("own-data"))
def test_a_split_by_two_lists_is_read(page, tmp_path):
    assert "`train: train.txt`" in (ROOT / page).read_text(encoding="utf-8")
    for name in "abc":
        write_image(tmp_path / f"photos/images/{name}.jpg")
        write_text(tmp_path / f"photos/labels/{name}.txt", "0 0.5 0.5 0.5 0.5\n")
    write_text(tmp_path / "photos/train.txt", "images/a.jpg\nimages/b.jpg\n")
    write_text(tmp_path / "photos/val.txt", "images/c.jpg\n")
    write_text(tmp_path / "my-data.yaml", "path: photos\ntrain: train.txt\nval: val.txt\nnames: [cat]\n")
    dataset = load_dataset(tmp_path / "my-data.yaml")
    assert [len(dataset[split]) for split in ("train", "val")] == [2, 1]


@pytest.mark.parametrize("page", ["README.md", "README.zh-CN.md", *both("articles"), *both("placement")])
def test_overlays_are_read(page, tmp_path):
    text = next(text for text in yaml_blocks(page) if "base:" in text)
    write_text(tmp_path / "my-model.yaml", text.replace("../yolov5/", f"{ROOT}/cfg/yolov5/"))
    entries = yaml.safe_load(text)["attention"]
    assert len(read_spec(tmp_path / "my-model.yaml").yaml["attention"]) == len(entries)


@pytest.mark.parametrize("page", both("yaml"))
def test_rows_and_another_head_are_read(page, tmp_path):
    texts = yaml_blocks(page)
    rows = [row for text in texts if text.startswith("  - ") for row in yaml.safe_load(text)]
    assert [row[2] for row in rows] == ["CBAM", "SKAttention", "SE", "C3CBAM"]
    content = {
        "nc": 2,
        "anchors": [[10, 13, 16, 30, 33, 23]],
        "backbone": [[-1, 1, "Conv", [64, 6, 2, 2]], *rows],
        "head": [[[-1], 1, "Detect", ["nc", "anchors"]]],
    }
    write_text(tmp_path / "some_fork.yaml", yaml.safe_dump(content))
    assert [layer.module for layer in read_spec(tmp_path / "some_fork.yaml").layers[1:4]] == [
        "CBAM",
        "SKAttention",
        "SE",
    ]
    overlay = next(text for text in texts if "base: some_fork.yaml" in text)
    write_text(tmp_path / "other.yaml", overlay)
    assert read_spec(tmp_path / "other.yaml").layers[-1].module == "Detect"
    for line in (line for text in texts for line in text.splitlines() if line.startswith("dialect: ")):
        write_text(tmp_path / "spoken.yaml", f"base: yolov5n\n{line}\n")
        assert read_spec(tmp_path / "spoken.yaml").layers


@pytest.mark.parametrize("page", both("study"))
def test_specs_of_studies_and_scans_are_read(page, tmp_path):
    lay_out(tmp_path)
    write_text(tmp_path / "my-data.yaml", snippet("docs/own-data.md", "my-data.yaml"))
    write_text(tmp_path / "my-overlay.yaml", snippet("README.md", "my-model.yaml"))
    smallest, whole, scan, sets = yaml_blocks(page)
    write_text(tmp_path / "a.yaml", smallest)
    assert [variant.name for variant in read_study(tmp_path / "a.yaml").variants][1:] == ["cbam"]
    write_text(tmp_path / "b.yaml", whole)
    names = {variant.name for variant in read_study(tmp_path / "b.yaml").variants}
    assert {"se", "mine", "cbam-plain", "cbam-fast", "SE@p3-identity", "CBAM@all-plain"} <= names
    write_text(tmp_path / "c.yaml", scan)
    assert read_scan(tmp_path / "c.yaml").method == "frozen"
    keys = re.sub(r"^data:.*", sets.strip(), smallest, flags=re.MULTILINE)
    write_text(tmp_path / "d.yaml", keys)
    assert read_study(tmp_path / "d.yaml").datasets == ("bccd", "digits")


@pytest.mark.parametrize("page", both("training"))
def test_a_study_of_hyperparameters_has_a_variant_for_each_file(page, tmp_path):
    lay_out(tmp_path)
    write_text(tmp_path / "my-data.yaml", snippet("docs/own-data.md", "my-data.yaml"))
    write_text(tmp_path / "my-hyp.yaml", (ROOT / "cfg/hyp/v5-low.yaml").read_text(encoding="utf-8"))
    write_text(tmp_path / "hyp-study.yaml", snippet(page, "hyp-study.yaml"))
    variants = read_study(tmp_path / "hyp-study.yaml").variants
    assert [variant.name for variant in variants] == ["baseline", "stronger", "mine"]
    assert [Path(variant.train["hyp"]).stem for variant in variants[1:]] == ["v5-med", "my-hyp"]


def spans(page: str, heading: int) -> list[list[list[str]]]:
    """Return the code in each cell of a table: of the part below a heading of second order, counted from 0."""
    part = (ROOT / page).read_text(encoding="utf-8").split("\n## ")[heading + 1]
    rows = [line for line in part.splitlines() if line.startswith("| ")][1:]
    return [[re.findall(r"`([^`]+)`", cell) for cell in row.strip("|").split(" | ")] for row in rows]


def test_both_languages_write_the_same_snippets():
    english, chinese = both("articles")
    for heading in (0, 1):
        assert [row[:2] for row in spans(english, heading)] == [row[:2] for row in spans(chinese, heading)]


def boxes(model) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(torch.rand(1, 3, 64, 64))[0]


@pytest.mark.parametrize("write", [row[1][0] for row in spans("docs/articles.md", 0)])
def test_what_replaces_a_pasted_class_is_built(write):
    model = build_model("yolov5n", nc=2, attention=[f"{write}@{SPPF}"])
    assert boxes(model).shape == (1, 4 + 2, 252)
    assert any(name.startswith(f"model.{SPPF}+{write.split('{')[0]}") for name in model.state_dict())


def edited_by_hand(row: list, replaces: int | None) -> dict:
    """Write YOLOv5n's rows with one more after SPPF, or with one that replaces another."""
    content = yaml.safe_load((ROOT / "cfg/yolov5/yolov5.yaml").read_text(encoding="utf-8"))
    if replaces is not None:
        content["backbone"][replaces] = row
        return content
    content["backbone"].append(row)
    for read in content["head"]:
        if isinstance(read[0], list):
            read[0] = [number + 1 if number > SPPF else number for number in read[0]]
    return content


def popular() -> list[tuple[str, str, str]]:
    """Return (word, row as written, entry that does the same) of the table of popular snippets."""
    found = []
    for first, second, *_ in spans("docs/articles.md", 1):
        row = next((text for text in first if text.startswith("[")), "")
        known = [yaml.safe_load(row)[2]] if row else []
        entry = next(text for text in second if text.startswith("{"))
        found += [(word, row, entry) for word in [*known, *(text for text in first if re.fullmatch(r"\w+", text))]]
    return found


@pytest.mark.parametrize(("word", "row", "entry"), popular(), ids=[word for word, *_ in popular()])
def test_popular_snippets_are_built_as_rows_and_as_entries(word, row, entry, tmp_path):
    """Build a row of its own after SPPF, a block in place of a C3 (or one of YOLOv8), and the line of an overlay."""
    base, content = "yolov5n", None
    if not row:
        base = "ultralytics/yolov8n"
    elif word == "BoT3":
        content = edited_by_hand([-1, 1, word, [1024]], SPPF - 1)
    else:
        written = yaml.safe_load(row)
        content = edited_by_hand([*written[:2], word, written[3]], 4 if word.startswith("C3") else None)
        content["scale"] = "s" if written[3] == [512, 512] else "n"  # the scaled channels, as YOLOv5s has them
    if content is not None:
        write_text(tmp_path / "theirs.yaml", yaml.safe_dump(content))
        assert boxes(build_model(tmp_path / "theirs.yaml", nc=2)).shape == (1, 6, 252)
    write_text(tmp_path / "mine.yaml", f"base: {base}\nattention: [{entry}]\n")
    assert boxes(build_model(tmp_path / "mine.yaml", nc=2)).shape[1] == 6
