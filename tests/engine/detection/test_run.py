"""The account that detect.py gives of its inputs."""

import re
from types import SimpleNamespace

import pytest

from engine.detection.frames import SourceReport
from engine.detection.run import LISTED, _report
from engine.detection.writers import Outputs
from engine.runtime.log import LOGGER, printable
from engine.runtime.stage_timer import Stopwatch


@pytest.mark.parametrize("count", [LISTED, LISTED + 1])
def test_every_skipped_input_is_named_and_all_of_many_in_a_file(tmp_path, monkeypatch, count):
    said = []
    monkeypatch.setattr(LOGGER, "info", said.append)
    report = SourceReport(images=1, skipped=[(f"{number}\n.jpg", "is empty") for number in range(count)])
    predictor = SimpleNamespace(source=SimpleNamespace(report=report), watch=Stopwatch())
    _report(predictor, Outputs(tmp_path), 1, 1.0, SimpleNamespace(profile=False, save_txt=False, slice=None))
    assert said[:LISTED] == [f"skipped: {number}\\n.jpg: is empty" for number in range(LISTED)]
    assert any(line.startswith(f"used 1 image, skipped {count};") for line in said)
    listing = tmp_path / "skipped.txt"
    assert listing.exists() == (count > LISTED) == any(re.search("and 1 more.*skipped.txt", line) for line in said)
    if listing.exists():
        assert listing.read_text() == "".join(f"{number}\\n.jpg: is empty\n" for number in range(count))


def test_names_that_would_disturb_a_terminal():
    assert printable("имя 😀.jpg\x1b[31m\r\n\udcff") == "имя 😀.jpg\\x1b[31m\\r\\n\\udcff"
