"""Run the suite on a pretended GPU, in processes of their own: PyTorch takes no second CUDA in one."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "pretended"))
from guard import possible  # noqa: E402

sys.path.pop(0)
# Files of the suite, and what the pretended machine is like.
RUNS: list[tuple[str, list[str]]] = [
    ("test_losses.py", []),
    ("test_mechanisms.py", []),
    ("test_training.py", []),
    ("test_detection.py", []),
    ("test_small_memory.py", ["--fits", "3"]),
    ("test_other_device.py", ["--devices", "2"]),
    ("test_other_device.py", ["--no-float64"]),
]

pytestmark = [
    pytest.mark.skipif(bool(possible()), reason=possible()),
    pytest.mark.skipif(torch.cuda.is_available(), reason="there is a real GPU, on which the suite runs itself"),
]


@pytest.mark.parametrize(("file", "flags"), RUNS)
def test_suite(file, flags, root):
    command = [sys.executable, str(HERE / "pretended"), *flags, "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    run = subprocess.run([*command, str(HERE / "suite" / file)], cwd=root, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout[-8000:] + run.stderr[-4000:]
    assert "passed" in run.stdout
