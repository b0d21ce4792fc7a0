"""Specs of scans: what is wrong is said in one line."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.errors import UsageError
from study.scan.scan_spec import read_scan

GOOD = {
    "data": "digits",
    "cfg": "yolov5n",
    "weights": "w.pt",
    "budget": {"epochs": 0},
    "mechanisms": ["SE"],
    "places": "rows",
}


def read(folder: Path, **changes: Any) -> Any:
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump({key: value for key, value in {**GOOD, **changes}.items() if value is not None}))
    return read_scan(path)


def test_defaults(tmp_path: Path) -> None:
    spec = read(tmp_path)
    assert (spec.name, spec.method, spec.places, spec.epochs, spec.steps) == ("mine", "frozen", ("rows",), 0, 60)
    assert read(tmp_path, method="halving").steps == 160
    assert read(tmp_path, confirm={"epochs": 3, "seeds": 2}).confirm_seeds == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mechanism": "SE"}, "unknown key 'mechanism'; did you mean mechanisms?"),
        ({"data": None}, "key 'data' is missing"),
        ({"budget": None}, "key 'budget' is missing"),
        ({"budget": {"minutes": 3}}, "expected a mapping with epochs"),
        ({"weights": None}, "budget.epochs is 0, so weights are needed"),
        ({"cfg": None, "weights": None}, "neither cfg nor weights"),
        ({"mechanisms": []}, "mechanisms is .*, expected a list such as"),
        ({"places": {"a": 1}}, "places is .*, expected a list such as"),
        ({"method": "magic"}, "expected one of gradient, frozen, joint, halving"),
        ({"images": 2}, "images is 2, expected a whole number from 4"),
        ({"train": {"epochs": 3}}, "train.epochs is set by the study"),
        ({"confirm": 3}, "confirm is 3, expected a mapping with epochs, seeds"),
    ],
)
def test_errors(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message) as error:
        read(tmp_path, **changes)
    assert "\n" not in str(error.value)
