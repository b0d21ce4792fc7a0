"""Whole scans of a few candidates: every method, ended and continued, and what they leave."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from study import cli
from study.scan import run as scan_run


@pytest.fixture
def scan(tmp_path: Path, tiny_data: Path, root: Path) -> Callable[..., list[dict[str, str]]]:
    """Return a function that scans the tiny data set and returns the rows of scan.csv."""

    def scanned(**changes: Any) -> list[dict[str, str]]:
        content = {
            "data": str(tiny_data),
            "cfg": "yolov5n",
            "weights": str(root / "weights" / "yolov5n-digits.pt"),
            "budget": {"epochs": 0},
            "mechanisms": ["SE", "SimAM"],
            "places": ["17", "inside:20"],
            "train": {"imgsz": 64},
            "steps": 2,
            "latency": 2,
            **changes,
        }
        path = tmp_path / "tiny.yaml"
        path.write_text(yaml.safe_dump(content))
        assert cli.main(["--scan", str(path), "--project", str(tmp_path / "runs"), "--device", "cpu"]) == 0
        with (tmp_path / "runs" / "tiny" / "scan.csv").open(newline="") as file:
            return list(csv.DictReader(file))

    return scanned


def test_a_continued_scan_is_the_undisturbed_one(
    scan: Callable[..., list[dict[str, str]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = scan()
    files = sorted((tmp_path / "runs" / "tiny" / "scores").glob("*.json"))
    files[0].unlink()  # as if it had been killed before
    scored: list[list[str]] = []
    honest = scan_run.score_group

    def counted(frozen: Any, group: Any, *method: Any, **settings: Any) -> Any:
        scored.append([candidate.name for candidate in group])
        return honest(frozen, group, *method, **settings)

    monkeypatch.setattr(scan_run, "score_group", counted)
    again = scan()
    assert len(scored) == 1  # the others were kept
    cost = ("milliseconds", "pareto")
    assert [{k: v for k, v in row.items() if k not in cost} for row in again] == [
        {k: v for k, v in row.items() if k not in cost} for row in first
    ]
    assert {row["candidate"] for row in first} == {"SE@17", "SimAM@17", "SE@inside:20", "SimAM@inside:20"}
    assert [int(row["rank"]) for row in first] == [1, 2, 3, 4]
    assert all(0 < float(row["p"]) <= 1 for row in first)
    report = (tmp_path / "runs" / "tiny" / "report.md").read_text()
    assert "This is a proposal, not a verdict" in report
    assert "| 1 | " + first[0]["candidate"] in report
    assert "<svg" in (tmp_path / "runs" / "tiny" / "report.html").read_text()


@pytest.mark.parametrize(
    "method", ["gradient", *(pytest.param(name, marks=pytest.mark.slow) for name in ("joint", "halving"))]
)
def test_other_methods(scan: Callable[..., list[dict[str, str]]], method: str) -> None:
    rows = scan(method=method, steps=8 if method == "halving" else 1, places="17", mechanisms=["SE", "SimAM", "Mona"])
    assert len(rows) == 3
    rungs = {"halving": ["3", "1", "0"]}  # one of three is left after the second rung
    assert [row["rung"] for row in rows] == rungs.get(method, ["0"] * 3)


def test_what_cannot_be_is_left_out_or_refused(
    scan: Callable[..., list[dict[str, str]]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(AssertionError):
        scan(places="24")
    assert "layer 24 (Detect) has no single output map" in capsys.readouterr().err
    assert cli.main(["--confirm", "2", str(tmp_path / "tiny.yaml")]) == 2
    assert "--confirm tests a scan" in capsys.readouterr().err
    for flags in (["--add-seeds", "2"], ["--import", str(tmp_path)], ["--report"]):  # would be ignored
        assert cli.main(["--scan", str(tmp_path / "tiny.yaml"), *flags]) == 2
        assert flags[0] in capsys.readouterr().err
    assert cli.main(["--scan", str(tmp_path / "none.yaml")]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_without_a_training_what_could_be_placed_is_listed(
    tmp_path: Path, tiny_data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """--dry-run trains nothing, and what is wrong in a spec is said before the detector is trained."""

    def trained(*arguments: Any) -> None:
        raise AssertionError("trained")

    monkeypatch.setattr("study.scan.start._train", trained)
    content = {
        "data": str(tiny_data),
        "cfg": "yolov5n",
        "budget": {"epochs": 20},
        "places": ["17"],
        "train": {"imgsz": 64},
    }
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump({**content, "mechanisms": ["SE", "SimAM"]}))
    argv = ["--scan", str(path), "--project", str(tmp_path / "runs"), "--device", "cpu"]
    assert cli.main([*argv, "--dry-run"]) == 0
    assert "2 candidates at 1 places" in capsys.readouterr().out
    path.write_text(yaml.safe_dump({**content, "mechanisms": ["CBMA"]}))
    assert cli.main(argv) == 2
    assert "CBMA" in capsys.readouterr().err
    for flags, said in (
        (["--confirm", "0"], "1 or more"),
        (["--pool", "both"], "--pool is for studies"),
        (["--retry-failed"], "add --confirm K"),
    ):
        assert cli.main([*argv, *flags]) == 2
        assert said in capsys.readouterr().err


def test_a_candidate_whose_loss_is_not_finite_is_left_out(
    scan: Callable[..., list[dict[str, str]]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    honest = scan_run.score_group
    groups: list[list[str]] = []

    def scored(frozen: Any, group: Any, *method: Any, **settings: Any) -> Any:
        groups.append([candidate.name for candidate in group])
        records = honest(frozen, group, *method, **settings)
        if "SE@17" in records:
            records["SE@17"].units[0] = float("nan")
        return records

    monkeypatch.setattr(scan_run, "score_group", scored)
    rows = scan()
    assert "SE@17" not in {row["candidate"] for row in rows}
    assert len(rows) == 3
    assert "left out: SE@17: the loss is not finite with it" in capsys.readouterr().out
    ended = next(names for names in groups if "SE@17" in names)
    assert [name for name in ended if name != "SE@17"] in groups  # scored again, with all steps
