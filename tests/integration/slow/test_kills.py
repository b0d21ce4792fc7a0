"""A training killed at random moments ends as if nothing had happened.

YOLO_ATTENTION_KILLS=50 python -m pytest tests/integration/slow/test_kills.py
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


@pytest.mark.parametrize("flags", [[], ["--slice=240"], ["--oversample=0.9"]], ids=["plain", "sliced", "oversampled"])
def test_kills_leave_no_trace(digits, tmp_path, flags):
    kills = os.environ.get("YOLO_ATTENTION_KILLS", "3")
    script = Path(__file__).with_name("kills.py")
    command = [sys.executable, str(script), str(digits), str(tmp_path), "--kills", kills, *flags]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    result = json.loads(done.stdout.splitlines()[-1])
    print(result)
    assert result["kills"] == int(kills)
    assert result["different"] == []
