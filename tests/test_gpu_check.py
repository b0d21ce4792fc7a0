"""scripts/gpu_check.py: what it says without a GPU, and its page."""

import argparse
import importlib.util
import json
import sys

import pytest


@pytest.fixture(scope="module")
def check(root):
    spec = importlib.util.spec_from_file_location("gpu_check", root / "scripts" / "gpu_check.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_without_a_gpu_the_page_claims_nothing(check, tmp_path, monkeypatch):
    monkeypatch.setattr(check.torch.cuda, "is_available", lambda: False)
    page = tmp_path / "gpu.md"
    monkeypatch.setattr(sys, "argv", ["gpu_check.py", "--markdown", str(page)])
    assert check.main() == 2
    assert "not run on a GPU" in page.read_text()
    assert "|" not in page.read_text()


def test_the_page_has_what_was_measured_failed_and_skipped(check):
    result = {
        "device": "Card",
        "torch": "2.9",
        "skipped": ["training"],
        "detection": {"ours": 123.456, "ultralytics": 50.0},
        "loop": {"error": "RuntimeError: a | b"},
    }
    text = check.page(result)
    for part in ("Card, PyTorch 2.9.", "No time was left for: training.", "| ours | 123 |", "RuntimeError: a / b"):
        assert part in text
    assert "mechanism" not in text


def test_a_piece_that_fails_leaves_the_others(check, tmp_path):
    def fails():
        raise ValueError("no such | card")

    options = argparse.Namespace(device="cpu", quick=True, minutes=7, only=None, json=tmp_path / "check.json")
    tried = check.Check(options, tmp_path)
    tried.part("loop", lambda its: its.pieces({"ours": fails, "theirs": lambda: {"images a second": 4.0}}))
    tried.part("mechanisms", lambda its: fails())
    found = json.loads(options.json.read_text())
    assert found["loop"] == {"ours": {"error": "ValueError: no such | card"}, "theirs": {"images a second": 4.0}}
    assert found["mechanisms"] == {"error": "ValueError: no such | card"}
    assert [check._failed(found[part]) for part in ("loop", "mechanisms")] == [True, True]
    text = check.page(tried.result)
    for row in ("| ours | ValueError: no such / card |", "| theirs | 4 images a second |", "| error | ValueError:"):
        assert row in text
