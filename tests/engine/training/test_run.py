"""What is wrong with a training's flags is said before its data are read."""

import pytest

from engine.cli.main import main


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--freeze", "99", "3"], "--freeze 99: the base's last row is 24"),
        (["--train-only", "attention"], "--train-only attention: the model has none"),
        (["--cfg", "nothere"], "no model YAML 'nothere'; there are: "),
        (["--attention", "CBAMM@4"], "did you mean CBAM or "),
        (["--attention", "CBAM@99"], "there is no row 99; the base has rows 0 to 24"),
        (["--weights", "nothere.pt"], "nothere.pt: no such file"),
        (["--hyp", "nothere"], "--hyp nothere: no such file, and no such name"),
    ],
)
def test_before_the_data_are_read(flags, expected, root, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("engine.training.run.load_data", lambda *args: pytest.fail("the data are read"))
    weights = [] if "--weights" in flags else ["--weights", str(root / "weights" / "yolov5n-digits.pt")]
    argv = [*weights, "--data", "digits", "--project", str(tmp_path), *flags]
    assert main("train", argv) == 2
    message = capsys.readouterr().err
    assert expected in message
    assert message.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
