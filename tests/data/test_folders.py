"""Paths as users write them: `~`, and wildcards."""

from pathlib import Path

import pytest

from data import load_dataset
from data.errors import DataError
from data.folders import expand_home, find_matching


def test_a_home_that_does_not_exist_stays_as_it_is_written(monkeypatch) -> None:
    monkeypatch.setenv("HOME", "/somewhere")
    assert expand_home("~/set") == Path("/somewhere/set")
    assert expand_home("~nobody-of-this-name/set") == Path("~nobody-of-this-name/set")


@pytest.mark.parametrize("key", ["path", "train"])
def test_an_unknown_home_in_a_data_yaml_is_one_line(tmp_path: Path, key: str) -> None:
    content = {"train": "images", "names": ["cat"], key: "~nobody-of-this-name/set"}
    with pytest.raises(DataError, match="its data are not there"):
        load_dataset(content, data_root=tmp_path if key == "train" else None)


def test_wildcards(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.png", "one/c.jpg", "one/deep/d.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()

    def found(pattern: str) -> list[str]:
        return [path.relative_to(tmp_path).as_posix() for path in find_matching(tmp_path / pattern)]

    assert found("*.jpg") == found("**.jpg") == found("***.jpg") == ["a.jpg"]
    assert found("**/*.jpg") == ["a.jpg", "one/c.jpg", "one/deep/d.jpg"]
    assert found("*/*.jpg") == ["one/c.jpg"]
    assert found("a.jpg") == found("[") == found("no*") == []


def test_a_wildcard_for_folders_of_images(yolo_set) -> None:
    yaml = yolo_set({"day": {"a": "0 0.5 0.5 0.2 0.2"}, "night": {"b": "1 0.5 0.5 0.2 0.2"}, "other": {"c": ""}})
    yaml.write_text("path: set\ntrain: images/*t*\nval: images/*/b**.png\nnames: [cat, dog]\n")
    dataset = load_dataset(yaml)
    assert [record.path.name for record in dataset["train"]] == ["b.png", "c.png"]  # night, other
    assert [record.path.name for record in dataset["val"]] == ["b.png"]
