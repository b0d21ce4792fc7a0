"""The two examples run from a command line and say what they found."""

import subprocess
import sys
from pathlib import Path

import pytest


def run(root: Path, *arguments: str) -> str:
    done = subprocess.run([sys.executable, *arguments], cwd=root, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_classify_cnn(root: Path) -> None:
    lines = run(root, "examples/classify_cnn.py", "--epochs", "4", "--seeds", "1").splitlines()
    assert lines[0].startswith("no attention")
    assert lines[1].startswith("ChannelAttention")
    assert all(float(line.split()[-1]) > 0.9 for line in lines)


@pytest.mark.slow
def test_attach_resnet(root: Path) -> None:
    lines = run(root, "examples/attach_resnet.py").splitlines()
    assert lines[0] == "same output as before: True"
    assert lines[1].startswith("6 mechanisms")
    assert float(lines[-1].split()[-1]) > 0
