"""Which images are tiles or frames of one original."""

from pathlib import Path

import pytest

from data import DataError, read_config
from data.originals import original_of


@pytest.mark.parametrize(
    ("pattern", "path", "original"),
    [
        ("{original}_*_*", "/d/field7_0_640.jpg", "/d/field7"),
        ("{original}_*_*", "/d/field_7_0_640.jpg", "/d/field_7"),  # as long as it can be
        ("{original}_*_*", "/d/field7.jpg", "/d/field7.jpg"),  # does not fit: one of its own
        ("{original}_*_*", "/d/_0_0.jpg", "/d/_0_0.jpg"),  # nothing is left for the original
        ("tile-*-*-{original}", "/d/tile-3-4-a.png", "/d/a"),
        ("{original}/*", "/d/video1/0001.jpg", "/d/video1"),
        ("frame{original}", "/d/a.v2.jpg", "/d/a.v2.jpg"),
        ("{original}-f*", "/d/a.v2-f10.jpg", "/d/a.v2"),
    ],
)
def test_the_name_of_the_original(pattern: str, path: str, original: str) -> None:
    assert original_of(Path(path), pattern) == original


def test_tiles_of_one_original_agree_and_folders_keep_apart() -> None:
    names = {
        original_of(Path(f"/{folder}/a_{x}_{y}.jpg"), "{original}_*_*") for folder in "de" for x in "01" for y in "01"
    }
    assert names == {"/d/a", "/e/a"}
    shared = [original_of(Path(f"/d/tile{x}+a.png"), "tile*+{original}") for x in "01"]
    assert shared[0] == shared[1]


@pytest.mark.parametrize(
    "value", ["field*", 7, "{original}{original}", "{original}*", "*{original}", "{original}_**", ["a"]]
)
def test_faulty_patterns_are_refused(value: object) -> None:
    with pytest.raises(DataError, match=r"key 'originals' is .*(write a pattern|has to stand between)") as caught:
        read_config({"train": "a", "names": ["x"], "originals": value})
    assert len(str(caught.value).splitlines()) == 1


def test_a_hostile_pattern_takes_no_time() -> None:
    pattern = "{original}" + "a*" * 80 + "b"
    assert original_of(Path("/" + "a" * 255), pattern) == "/" + "a" * 255
