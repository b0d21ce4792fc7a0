"""What `python -m models.spec` says about cost: parameters and operations that attention adds."""

import re

import pytest

from models.spec.__main__ import main


def test_a_difference_says_what_it_costs(capsys):
    """ECA has one convolution of 5 weights over 64 channels at 80 × 80: pooling counts for nothing, 2 · 5 · 64 do."""
    assert main(["yolov5n", "--attention", "ECA{kernel_size: 5}@17", "--diff", "yolov5n"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert re.fullmatch(r"parameters: \+5 \(\+0\.00 %\) to [\d,]+; GFLOPs at 640 px: \+0\.00", last)
    assert main(["yolov5n", "--diff", "yolov5n"]) == 0
    assert capsys.readouterr().out == "no difference\n"


def test_the_table_ends_with_the_operations(capsys):
    """YOLOv5 gives 4.5 for yolov5n with the normalisation in it, which is 2 % of it."""
    assert main(["yolov5n"]) == 0
    found = re.search(r"^([\d.]+) GFLOPs at 640 px$", capsys.readouterr().out, re.MULTILINE)
    assert found
    assert float(found[1]) == pytest.approx(4.4, abs=0.15)


def test_a_checkpoint_is_described_as_its_model_is(root, capsys):
    assert main([str(root / "weights" / "yolov5n-digits.pt")]) == 0
    assert "yolov5n-digits.pt: 25 layers, 1,777,447 parameters, 10 classes" in capsys.readouterr().out
    assert main(["nothere.pt"]) == 2
    assert capsys.readouterr().err == "error: nothere.pt: no such file; check the path\n"
