"""The validation at the end of a training."""

from types import SimpleNamespace

import pytest

from engine.validation.distributed_validator import SharedValidator


@pytest.mark.parametrize(("classes", "rows"), [(1, True), (12, True), (13, False), (80, False)])
def test_many_classes_do_not_push_the_summary_off_the_screen(classes, rows, monkeypatch, tmp_path):
    monkeypatch.setattr(SharedValidator, "__call__", lambda self, model: {"verbose": self.args.verbose})
    validator = SharedValidator(save_dir=tmp_path)
    assert validator.alone([], SimpleNamespace(names=dict.fromkeys(range(classes), "x")))["verbose"] == rows
