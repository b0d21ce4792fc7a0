"""Names of outputs: kept, different for every input, leading back to it."""

import os
from itertools import permutations

import pytest

from engine.detection.frames import Frame
from engine.detection.output_names import LONGEST, OutputNames, crop_stem, file_name


def outputs_of(names: OutputNames, path: str, frames: int) -> set[str]:
    """All label and crop names of an input with two boxes an image."""
    if not frames:
        stem = names.of(Frame(path)).rpartition(".")[0]
        return {crop_stem(stem, number) for number in (1, 2)}
    stem = names.of(Frame(path, "video", 1)).rpartition(".")[0]
    return {crop_stem(f"{stem}_{frame}", number) for frame in range(1, frames + 1) for number in (1, 2)}


@pytest.mark.skipif(os.name == "nt", reason="Windows allows fewer characters")
@pytest.mark.parametrize(
    "name", ["a&b.jpg", "a:b.jpg", "img [1].jpg", "x'y\".png", "a\nb.jpg", "a%d.jpg", "图 1.jpg", ".a.jpg"]
)
def test_names_are_kept(name: str) -> None:
    assert OutputNames().of(Frame(f"folder/{name}")) == name


@pytest.mark.parametrize(
    "inputs",
    [
        [("a/x.jpg", 0), ("b/x.jpg", 0), ("b/x.png", 0), ("b/x.mp4", 3)],
        [("film.mp4", 12), ("film_1.jpg", 0), ("film_12.jpg", 0)],
        [("a.jpg", 0), ("a-box2.jpg", 0), ("b/a-box2.png", 0)],
        [("film.mp4", 3), ("film_2-box2.jpg", 0), ("a/film.avi", 3)],
        [("a.jpg", 0), ("b/a.jpg", 0), ("a-2.jpg", 0)],
    ],
)
def test_no_two_inputs_share_an_output(inputs: list[tuple[str, int]]) -> None:
    for order in permutations(inputs):
        names, seen = OutputNames(), set()
        for path, frames in order:
            own = outputs_of(names, path, frames)
            assert not own & seen, order
            seen |= own


def test_images_with_numbers_keep_their_names_beside_one_without() -> None:
    names = OutputNames()
    assert [names.of(Frame(f"{name}.jpg")) for name in ("img_1", "img_2", "img")] == [
        "img_1.jpg",
        "img_2.jpg",
        "img.jpg",
    ]
    assert names.renamed() == {}


def test_renamed_outputs_lead_back() -> None:
    names = OutputNames()
    for path in ("cat/1.jpg", "dog/1.jpg"):
        names.of(Frame(path))
    assert names.renamed() == {"1.jpg": "cat/1.jpg", "1-2.jpg": "dog/1.jpg"}


def test_long_names_leave_room_for_numbers() -> None:
    name = file_name("字" * 80 + ".jpeg", "image")
    assert name.endswith(".jpeg")
    assert len(os.fsencode(name)) <= LONGEST + 5
    assert file_name("..", "image") == file_name("", "image") == "image"
