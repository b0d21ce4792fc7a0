"""YOLO text: rows, where labels lie, lists and folders, garbage."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data import DataError, load_dataset
from data.config import Source
from data.formats.label_files import label_path
from data.formats.yolo import find_images, read_labels
from data.records import Issue


def rows(tmp_path: Path, text: str | bytes, nc: int = 2) -> tuple[list, list[Issue]]:
    file = tmp_path / "x.txt"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    issues: list[Issue] = []
    raw = read_labels(file, 100, 80, nc, issues)
    return list(zip(raw.classes, raw.boxes, strict=True)), issues


def test_a_row_by_hand(tmp_path: Path) -> None:
    found, issues = rows(tmp_path, "1 0.5 0.25 0.2 0.1\n\n0.0 .1 .1 .2 .2\n")
    assert not issues
    assert found[0][0] == 1
    np.testing.assert_allclose(found[0][1], (40, 16, 60, 24))
    np.testing.assert_allclose(found[1][1], (0, 0, 20, 16), atol=1e-12)


@pytest.mark.parametrize(
    ("line", "kind", "word"),
    [
        ("0 0.5 0.5 0.1", "columns", "4 columns"),
        ("0 0.5 0.5 0.1 0.1 0.9", "columns", "6 columns"),
        ("0,0.5,0.5,0.1,0.1", "columns", "1 columns"),
        ("cat 0.5 0.5 0.1 0.1", "not-a-number", "'cat'"),
        ("0 0.5 0.5 0.1 x", "not-a-number", "'x'"),
        ("2 0.5 0.5 0.1 0.1", "unknown-class", "0 … 1"),
        ("-1 0.5 0.5 0.1 0.1", "unknown-class", "class -1"),
        ("0.5 0.5 0.5 0.1 0.1", "unknown-class", "class 0.5"),
        ("nan 0.5 0.5 0.1 0.1", "unknown-class", "class nan"),
        ("inf 0.5 0.5 0.1 0.1", "unknown-class", "class inf"),
    ],
)
def test_a_bad_row_is_dropped_alone(tmp_path: Path, line: str, kind: str, word: str) -> None:
    found, issues = rows(tmp_path, f"0 0.5 0.5 0.1 0.1\n{line}\n1 0.2 0.2 0.1 0.1\n")
    assert [cls for cls, _ in found] == [0, 1]
    assert [(issue.row, issue.kind, issue.action) for issue in issues] == [(2, kind, "dropped")]
    assert word in issues[0].message


def test_an_outline_becomes_the_box_around_it(tmp_path: Path) -> None:
    found, issues = rows(tmp_path, "0 0.1 0.1 0.5 0.2 0.3 0.9\n")
    np.testing.assert_allclose(found[0][1], (10, 8, 50, 72))
    assert issues[0].kind == "polygon"


def test_byte_order_mark_and_windows_line_ends(tmp_path: Path) -> None:
    found, issues = rows(tmp_path, b"\xef\xbb\xbf0 0.5 0.5 0.1 0.1\r\n1 0.5 0.5 0.2 0.2\r\n")
    assert len(found) == 2
    assert not issues


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=300),
        st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")),
        st.lists(
            st.lists(st.sampled_from("0 1 2 -1 0.5 1e400 -1e400 nan inf 1_0 ٣ x".split()), max_size=8), max_size=5
        ).map(lambda lines: "\n".join(map(" ".join, lines)).encode()),
    )
)
def test_no_garbage_raises_and_every_line_is_accounted_for(tmp_path: Path, content: bytes) -> None:
    found, issues = rows(tmp_path, content)
    text = content.decode("utf-8-sig", "replace")
    lines = [line for line in text.splitlines() if line.split()]
    assert len(found) + sum(issue.action == "dropped" for issue in issues) == len(lines)
    assert all(0 <= cls < 2 for cls, _ in found)


def test_labels_lie_in_the_folder_labels_or_beside() -> None:
    assert label_path(Path("/a/images/train/x.y.jpg")) == Path("/a/labels/train/x.y.txt")
    assert label_path(Path("/images/b/images/x.jpg")) == Path("/images/b/labels/x.txt")
    assert label_path(Path("/a/b/images.jpg")) == Path("/a/b/images.txt")


def test_no_label_file_means_no_objects(yolo_set: Callable[..., Path]) -> None:
    dataset = load_dataset(yolo_set({"train": {"a": None, "b": "", "c": "0 .5 .5 .1 .1"}}))
    assert [len(record) for record in dataset["train"]] == [0, 0, 1]
    assert [issue.kind for issue in dataset.issues] == ["no-label"]


def test_lists_refer_to_themselves_or_to_the_root(tmp_path: Path, image: Callable[..., Path]) -> None:
    for name in ("in list.png", "b.png", "c.png"):
        image(tmp_path / "root" / "images" / name)
    file = tmp_path / "root" / "lists" / "train.txt"
    file.parent.mkdir()
    absolute = tmp_path / "root" / "images" / "c.png"
    file.write_text(f"./../images/in list.png\n\nimages/b.png\n{absolute}\nimages/gone.png\n", encoding="utf-8")
    dataset = load_dataset({"path": str(tmp_path / "root"), "train": "lists/train.txt", "names": ["x"]})
    assert [record.path.name for record in dataset["train"]] == ["in list.png", "b.png", "c.png"]
    assert [(issue.kind, issue.file.name) for issue in dataset.issues if issue.kind != "no-label"] == [
        ("missing", "gone.png")
    ]


def test_globs_subfolders_links_and_their_loops(tmp_path: Path, image: Callable[..., Path]) -> None:
    image(tmp_path / "images" / "a" / "1.png")
    image(tmp_path / "images" / "b" / "2.JPG")
    (tmp_path / "images" / "b" / "loop").symlink_to(tmp_path / "images")
    (tmp_path / "images" / ".hidden.png").write_bytes(b"")
    found = find_images(Source(tmp_path / "images"), tmp_path, [])
    assert [path.name for path in found] == ["1.png", "2.JPG"]
    found = find_images(Source(tmp_path / "images" / "*" / "*.png"), tmp_path, [])
    assert [path.name for path in found] == ["1.png"]


def test_names_that_mislead_are_reported(tmp_path: Path, image: Callable[..., Path]) -> None:
    real = image(tmp_path / "real.png")
    (tmp_path / "images").mkdir()
    real.rename(tmp_path / "images" / "no_suffix")
    (tmp_path / "images" / "folder.jpg").mkdir()
    (tmp_path / "images" / "dangling.jpg").symlink_to(tmp_path / "nowhere")
    (tmp_path / "images" / "notes.doc").write_text("no image", encoding="utf-8")
    image(tmp_path / "images" / "good.png")
    dataset = load_dataset({"path": str(tmp_path), "train": "images", "names": ["x"]})
    assert len(dataset) == 1
    kinds = {issue.file.name: issue.kind for issue in dataset.issues if issue.kind != "no-label"}
    assert kinds == {"no_suffix": "no-suffix", "folder.jpg": "not-a-file", "dangling.jpg": "missing"}


def test_places_that_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"no images for split 'train'"):
        load_dataset({"path": str(tmp_path), "train": "empty", "names": ["x"]})
    with pytest.raises(DataError, match=r"data are not there .*nowhere\); put the data in"):
        load_dataset({"path": str(tmp_path), "train": "nowhere", "names": ["x"]})
    with pytest.raises(DataError, match="key 'names' is missing"):
        load_dataset({"path": str(tmp_path), "train": "empty"})
    (tmp_path / "list.txt").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(DataError, match="is no text file"):
        load_dataset({"path": str(tmp_path), "train": "list.txt", "names": ["x"]})


@pytest.mark.parametrize("row", ["0 50 40 20 10", "0 0 12 30 40", "0 10 10 90 10 50 70"])
def test_labels_in_pixels_are_called_so(tmp_path: Path, row: str) -> None:
    found, issues = rows(tmp_path, row)
    assert not found
    assert [issue.kind for issue in issues] == ["not-normalised"]
    assert "divide x and w by 100, y and h by 80" in issues[0].message


@pytest.mark.parametrize("row", ["0 1.4 .5 .9 .2", "0 .5 .5 3 .5", "0 -2 .5 .1 .1"])
def test_slips_over_the_edge_are_not_pixels(tmp_path: Path, row: str) -> None:
    found, issues = rows(tmp_path, row)
    assert len(found) == 1
    assert not issues


@pytest.mark.parametrize(
    "points", [".4 .4 2 .6 .6 1", ".4 .4 0", ".4 .4 2 .6 .6 1 .5 .5 0", ".4 .4 2 .6 .6 1 0 0 0 .5 .5 2"]
)
def test_of_a_pose_the_box_is_used(tmp_path: Path, points: str) -> None:
    found, issues = rows(tmp_path, f"1 .5 .5 .2 .4 {points}")
    np.testing.assert_allclose(found[0][1], (40, 24, 60, 56))
    assert [issue.kind for issue in issues] == ["pose"]


def test_an_outline_of_five_points_is_no_pose(tmp_path: Path) -> None:
    found, issues = rows(tmp_path, "0 .1 .1 .5 .1 .6 .3 .3 .9 .1 .5")
    np.testing.assert_allclose(found[0][1], (10, 8, 60, 72))
    assert [issue.kind for issue in issues] == ["polygon"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "utf-32"])
def test_lists_and_labels_that_windows_wrote(tmp_path: Path, image: Callable[..., Path], encoding: str) -> None:
    for name in ("a", "b"):
        image(tmp_path / "images" / "train" / f"{name}.png")
        label = tmp_path / "labels" / "train" / f"{name}.txt"
        label.parent.mkdir(parents=True, exist_ok=True)
        label.write_text("0 .5 .5 .1 .1\r\n", encoding=encoding)
    (tmp_path / "train.txt").write_text("images\\train\\a.png\r\n.\\images\\train\\b.png\r\n", encoding=encoding)
    dataset = load_dataset({"path": str(tmp_path), "train": "train.txt", "names": ["x"]})
    assert [(record.path.name, len(record)) for record in dataset] == [("a.png", 1), ("b.png", 1)]
    assert not dataset.issues


def test_a_backslash_in_a_name_that_exists_stays(tmp_path: Path, image: Callable[..., Path]) -> None:
    image(tmp_path / "a\\b.png")
    (tmp_path / "train.txt").write_text("a\\b.png\n", encoding="utf-8")
    dataset = load_dataset({"path": str(tmp_path), "train": "train.txt", "names": ["x"]})
    assert [record.path.name for record in dataset] == ["a\\b.png"]


@pytest.mark.parametrize(
    "line", ['"images/a.png"', "'images/a.png',", "images/a.png, ", '"images\\a.png";', "“./images/a.png”"]
)
def test_quotes_and_commas_in_a_list(tmp_path: Path, image: Callable[..., Path], line: str) -> None:
    image(tmp_path / "images" / "a.png")
    (tmp_path / "train.txt").write_text(f"{line}\n", encoding="utf-8")
    dataset = load_dataset({"path": str(tmp_path), "train": "train.txt", "names": ["x"]})
    assert [record.path for record in dataset] == [tmp_path / "images" / "a.png"]


@pytest.mark.parametrize("name", ["'a'.png", "a.png,", ","])
def test_quotes_and_commas_of_a_name_that_exists_stay(tmp_path: Path, image: Callable[..., Path], name: str) -> None:
    image(tmp_path / "a.png").rename(tmp_path / name)
    image(tmp_path / "a.png")
    (tmp_path / "train.txt").write_text(f"{name}\n", encoding="utf-8")
    dataset = load_dataset({"path": str(tmp_path), "train": "train.txt", "names": ["x"]})
    assert [record.path.name for record in dataset] == [name]


@pytest.mark.parametrize(
    "line",
    [
        "C:\\data\\images\\a.png",
        '"D:/x/images/a.png"',
        "/home/me/images/a.png",
        "../../other/images/a.png",
        "/x/b/a.png",
    ],
)
def test_a_list_of_another_machine(tmp_path: Path, image: Callable[..., Path], line: str) -> None:
    image(tmp_path / "images" / "a.png")
    image(tmp_path / "b" / "a.png")
    (tmp_path / "train.txt").write_text(f"{line}\nE:\\none.png\n", encoding="utf-8")
    dataset = load_dataset({"path": str(tmp_path), "train": "train.txt", "names": ["x"]})
    assert [record.path for record in dataset] == [tmp_path / ("b" if "b/" in line else "images") / "a.png"]
    assert [issue.kind for issue in dataset.issues if issue.action != "used as an image without objects"] == ["missing"]


def test_a_list_in_another_encoding_names_the_cause(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_bytes("images/细胞.jpg\n".encode("gbk"))
    with pytest.raises(DataError, match=r"line 1 is not UTF-8; save it as UTF-8"):
        load_dataset({"path": str(tmp_path), "train": "train.txt", "names": ["x"]})


def test_one_class_keeps_boxes_of_numbers_without_a_name(yolo_set: Callable[..., Path]) -> None:
    file = yolo_set({"train": {"a": "16 .5 .5 .1 .1\n2 .2 .2 .1 .1\n0 .7 .7 .1 .1\nx .1 .1 .1 .1\n"}}, "[thing]")
    assert [len(record) for record in load_dataset(file)] == [1]
    dataset = load_dataset(file, single_class=True)
    assert dataset.records[0].classes.tolist() == [0, 0, 0]
    assert [issue.kind for issue in dataset.issues] == ["not-a-number"]
