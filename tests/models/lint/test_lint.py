"""Lint on hand-edited YAMLs as users write them: the expected findings stand in the head of each file."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from models import SpecError, build_model, read_spec
from models.lint.__main__ import main
from models.lint.check import Report, lint, render
from models.source import Source
from models.weight_loading import transfer

CORPUS = sorted(Path(__file__).parent.glob("*.yaml"))


def header(path: Path) -> tuple[str, list[str]]:
    """Return the base and the expected findings, "row kind" each, of a file of the corpus."""
    text = path.read_text()
    base = re.search(r"^# base: (.*)$", text, re.MULTILINE)[1]  # type: ignore[index]
    expected = re.search(r"^# expect: (.*)$", text, re.MULTILINE)[1]  # type: ignore[index]
    found = [] if expected == "nothing" else [item.strip() for item in expected.split(",")]
    return str(path.parent / base) if base.endswith(".yaml") else base, sorted(found)


CORRECT = [path for path in CORPUS if not header(path)[1]]


def test_the_corpus_is_large_enough() -> None:
    assert len(CORPUS) >= 30
    assert 10 <= len(CORRECT) <= len(CORPUS) - 20


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_findings(path: Path) -> None:
    base, expected = header(path)
    report = lint(path, base)
    found = sorted(f"{'file' if f.row is None else f.row} {f.kind}" for f in report.findings)
    assert found == expected, render(report, path.name, base)
    assert all("\n" not in finding.message for finding in report.findings)


@pytest.mark.parametrize("path", CORRECT, ids=lambda path: path.stem)
def test_overlay_of_a_correct_file_says_the_same(path: Path) -> None:
    base, _ = header(path)
    report = lint(path, base)
    mine = read_spec(path)
    if report.overlay is None:
        assert len(mine.layers) == len(read_spec(base).layers)
        return
    overlay = read_spec(report.overlay)
    position = {layer.name: i for i, layer in enumerate(overlay.layers)}
    # On a connection the overlay may run attention at another moment; then the sets of connections must agree.
    edges = [
        (layer.module, [mine.layer(name).module for name in layer.reads if name != "image"]) for layer in mine.layers
    ]
    same = [
        (layer.module, [overlay.layers[position[name]].module for name in layer.reads if name != "image"])
        for layer in overlay.layers
    ]
    assert sorted(map(str, edges)) == sorted(map(str, same))


@pytest.mark.slow
@pytest.mark.parametrize("path", CORRECT, ids=lambda path: path.stem)
def test_correct_files_keep_every_unchanged_tensor(path: Path) -> None:
    base = build_model(header(path)[0])
    detector = build_model(path, seed=1)
    state = base.state_dict()
    report = transfer(Source(Path("base.pt"), state, base.names, base.spec, {}), detector)
    assert len(report.transferred) == len(state)
    assert not report.missing + report.mismatched + report.lost
    # What was transferred belongs to the same layers: without the attention the outputs agree.
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        for layer, module in zip(detector.spec.layers, detector.model, strict=True):
            if layer.attention:
                module.forward = lambda x: x
        assert torch.equal(detector.eval()(image)[0], base.eval()(image)[0])


def find(name: str) -> Report:
    """Return the report of the one file whose name contains a text."""
    (path,) = [path for path in CORPUS if name in path.stem]
    return lint(path, header(path)[0])


def test_messages_say_what_to_write() -> None:
    messages = [f.message for f in find("14-after-sppf-nothing-shifted").findings]
    assert "14 is row 14 (C3), in the base it is row 14 (Conv), now row 15: write 15" in messages[1]
    assert messages[1].endswith("this Concat joins other maps than the base's")
    assert messages[3].endswith("the head reads other layers than the base's")
    relative = [f.message for f in find("26-relative").findings]
    assert relative[0].startswith("-12 is row 5 (Conv), in the base it is row 4 (C3), now row 4: write -13")
    channels = find("channels-before-width-scaling").notes[0]
    assert channels.startswith("row 10: 1024 is the channels, which are inferred; SE is built as forks (no biases, ")


@pytest.mark.parametrize(
    ("name", "entries"),
    [
        ("02-after-sppf", [{"module": "CBAM", "at": 9}]),
        ("03-after-row-4-lateral-stays", [{"module": "CBAM", "between": [4, 5]}]),
        ("04-after-row-4-lateral-on", [{"module": "CBAM", "at": 4}]),
        (
            "05-before-the-head",
            [{"module": "CBAM", "at": 17}, {"module": "CBAM", "at": 20}, {"module": "CBAM", "at": 23}],
        ),
        ("06-two", [{"module": "ECA", "at": 9}, {"module": "SE", "at": 9}]),
        ("07-with-options", [{"module": "SKAttention", "at": 9, "args": {"kernels": [3, 5], "reduction": 16}}]),
        ("on-the-lateral", [{"module": "SE", "between": [4, 16]}]),
        ("14-after-sppf-nothing", [{"module": "CBAM", "at": 9}]),
        ("at-three-levels", [{"module": "CBAM", "at": 17}, {"module": "CBAM", "at": 20}, {"module": "CBAM", "at": 23}]),
    ],
)
def test_overlays_by_hand(name: str, entries: list[dict[str, Any]]) -> None:
    overlay = find(name).overlay
    assert overlay == {"base": "yolov5n", "attention": entries}


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = (str(next(p for p in CORPUS if p.stem.startswith(n))) for n in ("02", "14"))
    assert main([good, "--base", "yolov5n"]) == 0
    out = capsys.readouterr().out
    assert "no findings" in out
    assert "base: yolov5n\nattention:\n  - {module: CBAM, at: 9}" in out
    assert main([bad, "--base", "yolov5n", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["findings"][0]["kind"] == "unshifted"
    assert main([good, "--base", "nowhere"]) == 2
    assert capsys.readouterr().err.startswith("error: no model YAML 'nowhere'")
    assert main(["yolov5n-cbam", "--base", "yolov5n"]) == 2
    assert "is an overlay" in capsys.readouterr().err


def test_runs_as_a_module(root: Path) -> None:
    command = [sys.executable, "-m", "models.lint", str(CORPUS[0]), "--base", "yolov5n"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_file_without_rows_is_refused() -> None:
    with pytest.raises(SpecError, match="has no 'backbone'"):
        lint({"nc": 3}, "yolov5n")
