"""Bringing a fork's YAML and checkpoint here by one command."""

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from models import load_model, read_spec
from models.adopt.__main__ import main
from models.adopt.overlay import says_the_same
from tests.models.forks.pickles import image, reference, write


@pytest.fixture
def fork(tmp_path: Path) -> Any:
    """Writes a fork's YAML and checkpoint; returns their paths."""

    def make(name: str) -> tuple[Path, Path]:
        content = reference(name)
        write(content, tmp_path / f"{name}.pt")
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(content["yaml"]), encoding="utf-8")
        return tmp_path / f"{name}.yaml", tmp_path / f"{name}.pt"

    return make


def outputs(path: Path, expected: dict[str, Any]) -> torch.Tensor:
    """Return boxes and scores of a checkpoint at the rows of the reference."""
    with torch.no_grad():
        return load_model(path)(image(*expected["image"]))[0][0].t()[expected["rows"]]


def test_yaml_and_checkpoint_become_an_overlay_and_a_checkpoint(fork: Any, tmp_path: Path, capsys: Any) -> None:
    file, weights = fork("coordatt")
    before = file.read_bytes(), weights.read_bytes()
    assert main([str(file), "--weights", str(weights), "--out", str(tmp_path / "mine")]) == 0
    said = capsys.readouterr().out
    assert sum(line.startswith("  row ") for line in said.splitlines()) == 26  # a line for each row
    overlay = yaml.safe_load((tmp_path / "mine.yaml").read_text())
    assert overlay == {
        "base": "yolov5n",
        "nc": 3,
        "batch_norm": [0.001, 0.03],
        "attention": [{"module": "CoordAtt", "at": 8}],
    }
    assert "checkpoint equal: all 360 tensors" in said
    expected = reference("coordatt")
    assert f"{expected['parameters']:,} parameters" in said
    found = outputs(tmp_path / "mine.pt", expected)
    assert (found[:, :4] - torch.tensor(expected["boxes"])).abs().max() < 0.05
    assert (found[:, 4:] - torch.tensor(expected["scores"])).abs().max() < 0.001
    assert (file.read_bytes(), weights.read_bytes()) == before


def test_options_are_kept(fork: Any, tmp_path: Path, capsys: Any) -> None:
    _, weights = fork("simam-decoupled")
    assert main([str(weights), "--out", str(tmp_path / "mine")]) == 0
    overlay = yaml.safe_load((tmp_path / "mine.yaml").read_text())
    assert {entry["args"]["lam"] for entry in overlay["attention"]} == {1e-4}
    assert overlay["head"].startswith("Decoupled_Detect")
    said = capsys.readouterr().out
    assert said.count("SimAM: option: ") == 4
    assert "checkpoint equal" in said


def test_fused_blocks_become_a_whole_description(fork: Any, tmp_path: Path, capsys: Any) -> None:
    file, weights = fork("c3cbam")
    assert main([str(file), "--weights", str(weights), "--out", str(tmp_path / "mine")]) == 0
    whole = yaml.safe_load((tmp_path / "mine.yaml").read_text())
    assert "base" not in whole
    said = capsys.readouterr().out
    assert said.count("C3CBAM: fused: ") == 4
    assert says_the_same(whole, load_model(weights).spec)


def test_without_a_checkpoint_nothing_is_called_equal_to_it(fork: Any, tmp_path: Path, capsys: Any) -> None:
    file, _ = fork("cbam")
    assert main([str(file), "--out", str(tmp_path / "mine")]) == 0
    said = capsys.readouterr().out
    assert "checkpoint equal" not in said
    assert "not compared with the fork's own code" in said
    assert not (tmp_path / "mine.pt").exists()
    overlay = read_spec(tmp_path / "mine.yaml")
    assert overlay.layer("8+CBAM").attention is not None


def test_an_unknown_row_is_named_and_nothing_is_written(fork: Any, tmp_path: Path, capsys: Any) -> None:
    file, _ = fork("cbam")
    file.write_text(file.read_text().replace("CBAM", "Unheard"))
    assert main([str(file), "--out", str(tmp_path / "mine")]) == 1
    said = capsys.readouterr().out
    assert "row 9 Unheard: unknown: " in said
    assert "--plugin FILE" in said
    assert not (tmp_path / "mine.yaml").exists()


def test_a_tensor_without_a_place_is_named(fork: Any, tmp_path: Path, capsys: Any) -> None:
    content = reference("cbam")
    for entry in content["modules"]:
        if entry[0] == "model.9.spatial_attention.conv":
            entry[3]["slope"] = [5]
    write(content, tmp_path / "odd.pt")
    assert main([str(tmp_path / "odd.pt"), "--out", str(tmp_path / "mine")]) == 1
    said = capsys.readouterr().out
    assert "not taken: model.9.spatial_attention.conv.slope" in said
    assert "no checkpoint was written" in said
    assert not (tmp_path / "mine.pt").exists()


@pytest.mark.parametrize("kind", ["existing", "overlay", "missing"])
def test_mistakes_end_in_one_line(kind: str, fork: Any, tmp_path: Path, capsys: Any) -> None:
    file, _ = fork("cbam")
    if kind == "existing":
        (tmp_path / "mine.yaml").write_text("kept")
        argv = [str(file), "--out", str(tmp_path / "mine")]
    else:
        argv = ["yolov5n-cbam" if kind == "overlay" else str(tmp_path / "none.yaml"), "--out", str(tmp_path / "mine")]
    assert main(argv) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert kind != "existing" or (tmp_path / "mine.yaml").read_text() == "kept"
