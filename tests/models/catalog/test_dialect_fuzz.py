"""Arguments by position and words of dialects drawn at random: each file is a model or one line, and runs nothing."""

import random
from pathlib import Path
from typing import Any

import pytest

from attention import ATTENTION
from models import SpecError, read_spec
from models.catalog.dialect_table import STRUCTURES
from models.catalog.dialects import names_of_structures

WORDS = [*ATTENTION.names(), *ATTENTION.aliases(), *STRUCTURES, "SE_Block", "ECA_layer", "C3CBAM", "C2f_EMA"]
WORDS += [
    "Conv_CBAM",
    "CBAMC3",
    "C3_SE_Attention",
    "SPPF_LSKA",
    "C3",
    "Nothing",
    "nn.SiLU",
    "C3_",
    "_CBAM",
    "",
    "CBAM.",
]
VALUES: list[Any] = [0, 1, 2, 3, 4, 7, 8, 16, 32, 64, 99, 512, 1024, -1, 10**9, 0.5, 0.25, 1e-4, "1e-4", "None", "nc"]
VALUES += [True, False, None, "True", [], [16], [3, 5], {}, "x", "nn.SiLU()", "(" * 90, "1" * 150, float("inf")]
NAMES = ["kernel_size", "reduction", "groups", "identity", "dialect", "heads", "min_hidden", "bias", "where", "x"]


def arguments(draw: random.Random, mark: str) -> Any:
    values = [draw.choice([*VALUES, mark]) for _ in range(draw.randrange(5))]
    if draw.random() < 0.3:
        values.append({draw.choice(NAMES): draw.choice([*VALUES, mark, *names_of_structures()])})
    return values[-1] if values and isinstance(values[-1], dict) and draw.random() < 0.3 else values


def dialect(draw: random.Random, mark: str) -> Any:
    names: list[Any] = [*names_of_structures(), "narrow+forks", "last+paper", "+", mark, 3, None, [], ""]
    keys: list[Any] = [*WORDS, "default", 4, "4", -1, 99, None, True, mark]
    if draw.random() < 0.3:
        return draw.choice(names)
    return {draw.choice(keys): draw.choice(names) for _ in range(draw.randrange(3))}


def outcome(case: dict[str, Any]) -> tuple[list[str], bool]:
    """Return the notes of a model, or the error; and whether it is a model."""
    try:
        return list(read_spec(case).warnings), True
    except SpecError as error:
        return [str(error)], False


def check(small: dict[str, Any], count: int, seed: int, tmp_path: Path) -> int:
    """Return how many of the cases are models."""
    ran = tmp_path / "ran"
    mark = f"open({str(ran)!r}, 'w')"
    draw, good = random.Random(seed), 0
    for _ in range(count):
        case = {**small, "backbone": [*small["backbone"]], "yaml_file": "mine.yaml"}
        case["backbone"][4] = [-1, draw.choice([1, 1, 3]), draw.choice(WORDS), arguments(draw, mark)]
        if draw.random() < 0.4:
            case["dialect"] = dialect(draw, mark)
        if draw.random() < 0.3:
            case["width_multiple"] = draw.choice([0.25, 0.5, 2.0, 4.0])
        if draw.random() < 0.3:
            case = {**case, "anchors": None, "head": [*case["head"][:-1], [[9, 12], 1, "Detect", ["nc"]]]}
        lines, read = outcome(case)
        good += read
        assert all("\n" not in line for line in lines), case
        assert read or lines[0].startswith("mine.yaml"), case
    assert not ran.exists()
    return good


def test_some_cases(small: dict[str, Any], tmp_path: Path) -> None:
    assert 50 < check(small, 500, 1, tmp_path) < 450


@pytest.mark.slow
def test_five_thousand_cases(small: dict[str, Any], tmp_path: Path) -> None:
    assert 500 < check(small, 5000, 2, tmp_path) < 4500
