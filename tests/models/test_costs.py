"""The command that says what mechanisms cost: by themselves, at a place of a model, as CSV and as LaTeX."""

import csv
import re

import pytest

from attention.registry import ATTENTION
from models.costs import main

PLUGIN = """
from torch import nn
from attention.registry import ATTENTION

@ATTENTION.register("{name}")
class Gate(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x):
        return {result}
"""
QUICK = ["--imgsz", "64", "--repeats", "0"]


@pytest.fixture
def forget():
    """Return a function that takes a name and gives it back; the registry forgets it afterwards."""
    names = []
    yield lambda name: names.append(name) or name
    for name in names:
        ATTENTION._entries.pop(name, None)


def table(text):
    """Return the rows of a Markdown table as dictionaries."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    return [dict(zip(lines[0], line, strict=True)) for line in lines[2:]]


def test_at_the_places_of_a_model_by_hand(capsys):
    """yolov5n has 64 channels at P3 and 256 at P5, on maps of 8 × 8 and 2 × 2 positions for 64 pixels."""
    assert main(["SE", "--in", "yolov5n", "--at", "neck.P3,neck.P5", *QUICK]) == 0
    text = capsys.readouterr().out
    rows = table(text)
    assert [(row["place"], row["C"], row["map"]) for row in rows] == [("17+SE", "64", "8×8"), ("23+SE", "256", "2×2")]
    for row, channels in zip(rows, (64, 256), strict=True):
        hidden = channels // 16
        assert int(row["parameters"]) == 2 * channels * hidden + hidden + channels
        assert float(row["GFLOPs"]) == pytest.approx(4 * channels * hidden / 1e9, abs=1e-6)
    assert re.search(r"^yolov5n: 1,872,157 parameters, [\d.]+ GFLOPs at 64 px, batch 1$", text, re.MULTILINE)


@pytest.mark.parametrize(("name", "parameters"), [("PSA_s", 7064), ("PolarizedSelfAttention", 8256)])
def test_an_alias_that_stands_for_an_option_is_measured_with_it(name, parameters, capsys):
    """C = 64, d = 32, narrow 8: q and the three maps 64 + 3 · 2048; W_z 32 · 8 + 8, 16, 8 · 64 + 64, or 2048."""
    assert main([name, "--repeats", "0"]) == 0
    first = table(capsys.readouterr().out)[0]
    assert (first["mechanism"], first["C"], first["parameters"]) == (name, "64", str(parameters))


def test_times_are_shares_of_the_models(capsys):
    assert main(["ECA", "--in", "yolov5n", "--at", "inside:4", "--imgsz", "64", "--repeats", "1"]) == 0
    text = capsys.readouterr().out
    rows = table(text)
    whole = float(re.search(r"([\d.]+) ms at 64 px", text)[1])
    assert [row["place"] for row in rows] == ["4.m.0.cv2.attention", "4.m.1.cv2.attention"]
    for row in rows:
        share = float(row["% of the model's ms"])
        assert share == pytest.approx(100 * float(row["ms"]) / whole, abs=100 * 0.006 / whole + 0.06)


def test_a_plugin_as_csv_and_latex(tmp_path, capsys, forget):
    plugin = tmp_path / "gate.py"
    plugin.write_text(PLUGIN.format(name=forget("Costs_Gate"), result="x * self.conv(x).sigmoid()"))
    out, tex = tmp_path / "costs.csv", tmp_path / "costs.tex"
    flags = ["Costs_Gate", "SE", "--plugin", str(plugin), "--csv", str(out), "--latex", str(tex), "--repeats", "0"]
    assert main(flags) == 0
    assert capsys.readouterr().out == f"wrote {out}\nwrote {tex}\n"
    with out.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["mechanism"], row["map"]) for row in rows[:2]] == [("Costs_Gate", "80×80"), ("Costs_Gate", "40×40")]
    assert [int(row["parameters"]) for row in rows[:3]] == [64**2, 128**2, 256**2]
    assert rows[0]["MFLOPs"] == f"{2 * 64**2 * 80**2 / 1e6:.1f}"
    lines = tex.read_text(encoding="utf-8").splitlines()
    assert lines[1] == r"\begin{tabular}{lrrrrrrrrrr}"
    assert lines[5].startswith(r"Costs\_Gate & 64 & 80$\times$80 & 4096 & 52.4 & ")
    assert all(line.endswith(r" \\") and line.count("&") == 10 for line in (lines[3], *lines[5:-2]))


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["CBAMM"], "unknown attention mechanism 'CBAMM'; did you mean CBAM"),
        (["SE", "--in", "yolov5n"], "--in MODEL and --at PLACE go together"),
        (["SE", "--at", "neck.P3"], "--in MODEL and --at PLACE go together"),
        (["SE", "--in", "yolov5q", "--at", "4"], "no model YAML 'yolov5q'"),
        (["SE", "--in", "yolov5n", "--at", "neck.P9"], "there is no neck.P9"),
        (["SE", "--in", "yolov5n", "--at", "4", "--imgsz", "100"], "--imgsz 100: the model takes multiples of 32"),
        (["SE", "--plugin", "nothere.py"], "no such Python file"),
        (["nn.SiLU"], "torch.nn.SiLU: a library's module is measured at a place"),
        (["SE", "--repeats", "0", "--csv", "nothere/costs.csv"], "--csv nothere/costs.csv: cannot be written"),
    ],
)
def test_what_is_wrong_is_one_line(argv, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(argv) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith("error: ")
    assert message in said


@pytest.mark.parametrize("flags", [["--imgsz", "0"], ["--repeats", "-1"], ["--batch", "two"]])
def test_a_number_that_is_none_is_one_line(flags, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["SE", *flags])
    assert stop.value.code == 2
    assert capsys.readouterr().err.startswith(f"error: argument {flags[0]}: '{flags[1]}', expected a whole number")


def test_a_plugin_that_fails_is_named(tmp_path, capsys, forget):
    plugin = tmp_path / "broken.py"
    plugin.write_text(PLUGIN.format(name=forget("CostsBroken"), result="self.conv(x[:, 1:])"))
    assert main(["CostsBroken", "--plugin", str(plugin), "--repeats", "0"]) == 2
    assert capsys.readouterr().err.startswith("error: CostsBroken: cannot be measured: ")
