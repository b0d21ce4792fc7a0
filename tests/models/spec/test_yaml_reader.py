"""Hostile and broken YAML ends in one line; nothing is executed, and nothing grows without bound."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from models import read_spec
from models.errors import SpecError
from models.spec.yaml_reader import parse_yaml, read_yaml

BOMB = "a0: &a0 [x, x, x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12))
HOSTILE = {
    "python": ("a: !!python/object/apply:os.system ['touch /tmp/never']", "could not determine a constructor"),
    "alias bomb": (BOMB, "once aliases are expanded"),
    "alias of itself": ("a: &a [*a]", "once aliases are expanded"),
    "merge bomb": ("a: &a {x: 1}\nb: {<<: [*a, *a]}", "merge keys"),
    "deep": ("[" * 400_000, "levels"),
    "deep in block style": ("- " * 400_000, "levels"),
    "long": ("a: [" + "1," * 300_000 + "]", "values"),
    "huge integer": ("nc: " + "9" * 100_000, "not valid YAML"),
    "huge hexadecimal": ("nc: 0x" + "f" * 100_000, "integer beyond"),
    "date": ("a: 2001-01-01", "type date"),
    "bytes": ("a: !!binary aGVsbG8=", "type bytes"),
    "set": ("a: !!set {a, b}", "type set"),
    "list as key": ("? [a]\n: 1", "unhashable key"),
    "two documents": ("a: 1\n---\nb: 2", "single document"),
    "no YAML": ("a: [1, 2", "not valid YAML"),
    "tab": ("a:\n\t- 1", "not valid YAML"),
    "same key twice": ("nc: 1\nnc: 2", "the key 'nc' stands twice"),
    "empty": ("", "is empty"),
    "only a comment": ("# nothing", "is empty"),
    "a list": ("- 1\n- 2", "holds a list"),
    "text": ("hello", "holds a str"),
    "control character": ("a: \0", "not valid YAML"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text(name: str) -> None:
    text, expected = HOSTILE[name]
    start = time.monotonic()
    with pytest.raises(SpecError, match=expected) as caught:
        parse_yaml(text, "mine.yaml")
    assert str(caught.value).startswith("mine.yaml: ")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500
    assert time.monotonic() - start < 20  # a bomb would take hours


def test_binary_garbage_is_an_error() -> None:
    with pytest.raises(SpecError, match="not valid YAML"):
        parse_yaml(b"nc: \x80\x81", "mine.yaml")


def test_unreadable_files(tmp_path: Path, write: Callable[..., Path]) -> None:
    with pytest.raises(SpecError, match="cannot be read"):
        read_yaml(tmp_path / "missing.yaml")
    with pytest.raises(SpecError, match="cannot be read"):
        read_yaml(tmp_path)
    with pytest.raises(SpecError, match="larger than"):
        read_yaml(write("a: " + "x" * 1_100_000))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("1e-4", 1e-4), ("1E4", 10000.0), ("-2e+3", -2000.0), ("1.e-5", 1e-5), (".5e1", 5.0), ("1.5e-05", 1.5e-5)),
        *(("'1e-4'", "1e-4"), ("e-4", "e-4"), ("1e", "1e"), ("3e4a", "3e4a"), ("0x1e", 30), ("v1e-4", "v1e-4")),
    ],
)
def test_a_power_of_ten_is_a_number_with_and_without_a_point(text: str, value: object) -> None:
    assert parse_yaml(f"a: {text}", "here") == {"a": value}
    assert parse_yaml(f"a: [{text}]", "here") == {"a": [value]}


def test_an_option_takes_a_number_as_the_pages_print_it() -> None:
    attention = read_spec("yolov5n", ["GCT{eps: 1e-03}@17"]).layer("17+GCT").attention
    assert attention is not None
    assert dict(attention.kwargs) == {"eps": 0.001}


def test_a_plain_mapping_is_read_as_it_stands(write: Callable[..., Path]) -> None:
    path = write("nc: 80\nrows: [[-1, 1, Conv, [64, 3, 2]]]\nnone: null\nσ: 0.5\nshared: &s [1]\nagain: *s")
    assert read_yaml(path) == {
        "nc": 80,
        "rows": [[-1, 1, "Conv", [64, 3, 2]]],
        "none": None,
        "σ": 0.5,
        "shared": [1],
        "again": [1],
    }


@pytest.mark.parametrize("text", ["", "- 1", "hello"])
def test_a_file_that_is_no_model_is_told_what_its_own_kind_holds(text: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(SpecError, match=r"expected a mapping such as 'lr0: 0\.01'") as caught:
        read_yaml(file, "'lr0: 0.01'")
    assert not any(word in str(caught.value) for word in ("backbone", "nc:", "base:"))
