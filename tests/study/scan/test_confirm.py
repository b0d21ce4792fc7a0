"""The study that tests a scan: who takes part, and what is concluded."""

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from scipy import stats

from engine.errors import UsageError
from study.scan import confirm
from study.scan.confirm import (
    best_for,
    chosen,
    correlation_interval,
    detectable_correlation,
    judge,
    rank_correlation,
    sentences,
    write_confirmation,
    write_study,
)


def ranked(count: int) -> list[Any]:
    return [
        SimpleNamespace(candidate=SimpleNamespace(name=f"c{n}"), rank=n + 1, score=1 / (n + 1)) for n in range(count)
    ]


def test_the_best_and_as_many_of_the_others() -> None:
    picked = chosen(ranked(20), 3, seed=0)
    assert [entry.rank for entry in picked.values()][:3] == [1, 2, 3]
    assert list(picked) == ["best1", "best2", "best3", "random1", "random2", "random3"]
    assert all(entry.rank > 3 for name, entry in picked.items() if name.startswith("random"))
    assert len({entry.rank for entry in picked.values()}) == 6
    with pytest.raises(UsageError, match="expected 1 to 10"):
        chosen(ranked(20), 11, seed=0)


def test_the_best_against_random_ones_seed_by_seed() -> None:
    effects = {
        "best1": {1: 0.03, 2: 0.05, 3: 0.04},
        "best2": {1: 0.01, 2: 0.03, 3: 0.02},
        "random1": {1: 0.00, 2: 0.01, 3: 0.01},
        "random2": {1: 0.00, 2: 0.01, 3: -0.01, 4: 0.5},
    }
    tested = judge(effects, {"best1": 4.0, "best2": 3.0, "random1": 2.0, "random2": 1.0})
    # by seed: 0.02 - 0, 0.04 - 0.01, 0.03 - 0 = 0.02, 0.03, 0.03
    assert tested.advantage.mean == pytest.approx(0.08 / 3)
    reach = stats.t.isf(0.025, 2) * 0.01 / 3**0.5 / 3**0.5
    assert tested.advantage.low == pytest.approx(0.08 / 3 - reach)
    assert tested.correlation == pytest.approx(1.0)
    assert math.isnan(tested.low)  # four candidates are too few
    assert "better than" in sentences(tested, "AP")[0]
    with pytest.raises(UsageError, match="no seed is done with all"):
        judge({"best1": {1: 0.1}, "random1": {2: 0.1}}, {"best1": 1, "random1": 0})


def test_rank_correlation_and_what_could_be_seen() -> None:
    assert rank_correlation([1, 2, 3, 4, 5], [1, 2, 3, 5, 4]) == pytest.approx(0.9)  # 1 - 6·2 / (5·24)
    assert math.isnan(rank_correlation([1, 1, 1], [1, 2, 3]))
    low, high = correlation_interval(0.5, 20)
    reach = 1.959964 * math.sqrt(1.06 / 17)
    assert (math.atanh(low), math.atanh(high)) == pytest.approx((math.atanh(0.5) - reach, math.atanh(0.5) + reach))
    # 3 + 1.06 · (2.8016 / atanh 0.6)² = 20.3 candidates, so 22
    assert best_for(0.6) == 11
    assert math.atanh(detectable_correlation(20)) == pytest.approx((1.959964 + 0.841621) * math.sqrt(1.06 / 17))


def test_runs_that_learned_nothing_say_nothing() -> None:
    nothing = {name: {1: 0.0, 2: 0.0} for name in ("best1", "random1")}
    (said,) = sentences(judge(nothing, {"best1": 2.0, "random1": 1.0}), "AP")
    assert "says nothing of the scan" in said


def test_the_order_of_the_scan_counts_where_its_scores_have_no_common_scale(tmp_path: Path) -> None:
    """Method `gradient` orders by score / error: here the scores fall where the effects rise, and the ranks do not."""
    names = ("best1", "best2", "random1", "random2", "random3")
    picked: dict[str, Any] = {
        name: SimpleNamespace(candidate=SimpleNamespace(name=f"SE@{n}"), rank=n + 1, score=float(n))
        for n, name in enumerate(names)
    }
    effects = {name: {1: 0.04 - 0.01 * n, 2: 0.06 - 0.01 * n} for n, name in enumerate(names)}
    scan: Any = SimpleNamespace(folder=tmp_path, spec=SimpleNamespace(name="mine"))
    said = write_confirmation(scan, picked, effects, "AP")
    assert "the scan's order and measured effects over 5 candidates: +1.00" in said
    (report,) = tmp_path.glob("confirm-*.md")
    # mean of 4 and 6 points, and their standard deviation, the square root of 2
    assert "| best1 | SE@0 | 1 | 0 | +5.00 | 1.41 |" in report.read_text()
    assert "(confirm-2/report.md)" in report.read_text()
    assert said.endswith("for 0.6 take --confirm 11.")


@pytest.mark.parametrize(
    ("epochs", "train", "expected"),
    [
        (0, {"imgsz": 96}, {"imgsz": 96, "noautoanchor": True}),  # the weights as they were scanned
        (0, {"noautoanchor": False}, {"noautoanchor": False}),
        (3, {"imgsz": 96}, {"imgsz": 96}),  # its training chose anchors as that of the study does
    ],
)
def test_the_study_trains_the_detector_that_was_scanned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epochs: int, train: dict[str, Any], expected: dict[str, Any]
) -> None:
    monkeypatch.setattr(confirm, "_has_control", lambda entry: entry.rank == 1)
    named = {"file": "mine.yaml", "data": "digits", "data_root": None, "cfg": "", "weights": "mine.pt"}
    spec = SimpleNamespace(**named, epochs=epochs, train=train, seed=4, confirm_epochs=2, confirm_seeds=3)
    scan: Any = SimpleNamespace(spec=spec, folder=tmp_path, ranked=ranked(2))
    content = yaml.safe_load(Path(write_study(scan, 1)).read_text())
    assert content["train"] == expected
    assert content["seeds"] == [5, 6, 7]  # none that the scan has seen
    assert content["variants"] == {"best1": "c0", "random1": "c1"}
    assert content["controls"] == ["best1"]
