"""Tiles and frames of few originals: resampled and halved by original."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from data import Dataset, Record, Split
from engine.errors import UsageError
from metrics import image_resamples
from study.analysis.comparisons import _originals
from study.plan.originals import originals_of, warning_of
from study.plan.plan import make_plan
from study.plan.split_val import halve_validation
from study.plan.study_spec import read_study


def test_tiles_of_one_original_are_drawn_together() -> None:
    originals = ["b", "a", "b", "c", "a", "b"]
    counts = image_resamples(6, 4000, 0, originals)
    for first, second in ((0, 2), (0, 5), (1, 4)):
        assert (counts[:, first] == counts[:, second]).all()
    assert (counts[:, [0, 1, 3]].sum(1) == 3).all()  # three originals are drawn, with replacement
    # Binomial(3, 1/3): never in (2/3)^3 of resamples.
    assert np.mean(counts[:, 3] == 0) == pytest.approx(8 / 27, abs=0.03)
    with pytest.raises(ValueError, match="2 originals for 3 images"):
        image_resamples(3, 5, 0, ["a", "b"])


def record(name: str) -> Record:
    empty = np.zeros(0)
    return Record(Path(f"/d/{name}.png"), 8, 8, empty.astype(int), np.zeros((0, 4)), empty == 1, empty == 1, empty)


def test_a_halved_val_keeps_originals_whole() -> None:
    records = [record(f"{name}_{x}_{y}") for name in "abcdef" for x in "01" for y in "01"]
    dataset = Dataset("d", {0: "x"}, "yolo", {"train": Split("train"), "val": Split("val", records)})
    halved = halve_validation(dataset, "{original}_*_*")
    sides = [{item.path.name[0] for item in halved[split]} for split in ("val", "test")]
    assert not sides[0] & sides[1]
    assert [len(halved[split]) for split in ("val", "test")] == [12, 12]
    one = Dataset("d", {0: "x"}, "yolo", {"train": Split("train"), "val": Split("val", records[:4])})
    assert [len(halve_validation(one, "{original}_*_*")[split]) for split in ("val", "test")] == [2, 2]


@pytest.mark.parametrize("halved", [False, True])
def test_a_study_knows_the_originals_in_the_order_of_its_match_tables(
    tiny_data: Path, tmp_path: Path, halved: bool
) -> None:
    content = yaml.safe_load(tiny_data.read_text())
    # "test3" is a tile of "te": {original}st* takes what stands before "st"; "val4" is one of "v".
    pattern = "{original}al*" if halved else "{original}st*"
    data = tmp_path / "tiles.yaml"
    data.write_text(yaml.safe_dump({**content, "originals": pattern}))
    study: dict[str, Any] = {"data": str(data), "cfg": "yolov5n", "variants": {"se": "SE@17"}, "budget": {"epochs": 1}}
    (tmp_path / "s.yaml").write_text(yaml.safe_dump({**study, "evaluate": {"split": "val-half" if halved else "test"}}))
    spec = read_study(tmp_path / "s.yaml")
    plan = make_plan(spec, tmp_path / "runs")
    assert set(plan.originals) == {str(tiny_data.parent / "images" / ("val/v" if halved else "test/te"))}
    assert len(plan.originals) == plan.sizes["test"]
    assert any("come from 1 originals" in warning for warning in plan.warnings)
    np.savez(tmp_path / "boxes.npz", position=np.arange(len(plan.originals))[::-1])
    plan.originals = tuple("abcdefgh"[: len(plan.originals)])
    assert _originals(plan, tmp_path) == list(plan.originals)[::-1]
    data.write_text(yaml.safe_dump({**content, "originals": "{original}_*_*"}))
    with pytest.raises(UsageError, match="fits no image, such as "):
        make_plan(spec, tmp_path / "runs")


def test_without_a_pattern_every_image_is_one_of_its_own(tiny_data: Path, tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(
        yaml.safe_dump({"data": str(tiny_data), "cfg": "yolov5n", "variants": {"se": "SE@17"}, "budget": {"epochs": 1}})
    )
    assert originals_of(read_study(tmp_path / "s.yaml"), [record("a_0_0")]) == ()
    assert warning_of(()) == []
    assert "So few originals" in warning_of(["a", "a", "b"])[0]
    assert "So few originals" not in warning_of([str(number) for number in range(10)])[0]
