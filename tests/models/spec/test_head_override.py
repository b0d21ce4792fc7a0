"""`head:` of an overlay, and the refusal that points to it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from models import SpecError, read_spec
from models.build import build_model


@pytest.fixture
def fork(small: dict[str, Any], write: Callable[..., Path]) -> Path:
    """A model whose last row is a head that is not here."""
    small["head"][-1] = [[9, 12], 1, "Mystery_Detect", ["nc", "anchors", 3]]
    return write(small)


def overlay(tmp_path: Path, base: Path, **more: Any) -> Path:
    path = tmp_path / "overlay.yaml"
    path.write_text(yaml.safe_dump({"base": str(base), **more}))
    return path


def test_unknown_head_is_refused_with_its_row_and_the_way_on(fork: Path) -> None:
    with pytest.raises(SpecError, match=r"row 13 .*'Mystery_Detect'.*`head: Detect`.*--plugin FILE"):
        read_spec(fork)


def test_standard_head_reads_the_same_maps(fork: Path, tmp_path: Path, small: dict[str, Any]) -> None:
    spec = read_spec(overlay(tmp_path, fork, head="Detect"))
    assert (spec.head.module, spec.head.reads) == ("Detect", ("9", "12"))
    assert spec.anchors == tuple(tuple(map(float, level)) for level in small["anchors"])
    (note,) = spec.warnings
    assert "overlay.yaml: Detect reads the maps of 'Mystery_Detect', whose own layers and weights are lost" in note
    again = build_model(spec.yaml).spec.head  # what a checkpoint stores
    assert (again.module, again.reads, again.args) == (spec.head.module, spec.head.reads, spec.head.args)


def test_any_head_there_is(fork: Path, tmp_path: Path) -> None:
    assert read_spec(overlay(tmp_path, fork, head="Decoupled_Detect")).head.module == "Decoupled_Detect"
    attended = read_spec(overlay(tmp_path, fork, head="IDetect", attention=["SE@9"], nc=5))
    assert (attended.head.module, attended.nc, attended.head.reads[0]) == ("IDetect", 5, "9+SE")


def test_head_free_of_anchors(small: dict[str, Any], write: Callable[..., Path], tmp_path: Path) -> None:
    del small["anchors"]
    small["head"][-1] = [[9, 12], 1, "Mystery_Detect", ["nc"]]
    base = write(small)
    assert read_spec(overlay(tmp_path, base, head="Detect")).anchors is None
    with pytest.raises(SpecError, match=r"row 13 .*predicts on anchors: write"):
        read_spec(overlay(tmp_path, base, head="IDetect"))


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ("Detekt", "overlay.yaml: unknown head 'Detekt'; did you mean .*Detect"),
        (
            [[-1, 1, "Conv", [3]]],
            "overlay.yaml: head is .*, expected the name of a head such as Detect; rows stand in base",
        ),
        (None, "overlay.yaml: head is None, expected the name of a head"),
    ],
)
def test_what_is_no_head(head: Any, message: str, fork: Path, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=message):
        read_spec(overlay(tmp_path, fork, head=head))


def test_a_word_with_several_structures_says_so(small: dict[str, Any]) -> None:
    small["head"][-1][2] = "Decoupled_Detect"
    (note,) = read_spec(small).warnings
    assert "row 13" in note
    assert "Decoupled_Detect_v7" in note
