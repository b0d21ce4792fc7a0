"""export.py: the deploy form and other runtimes' files, each checked against the checkpoint."""

from pathlib import Path

import pytest
import torch

from engine.cli.main import main
from models import load_model
from models.heads.yolov7 import ImplicitHead
from models.reparameterization import compare_detectors


@pytest.fixture(scope="module")
def weights(shared: Path) -> Path:
    """An official training checkpoint of yolov7-tiny."""
    return shared / "parity" / "ckpt" / "yolov7-tiny.pt"


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")
def test_deploy_form_and_torchscript(weights: Path, tmp_path: Path) -> None:
    words = ["--weights", str(weights), "--output", str(tmp_path), "--imgsz", "64"]
    assert main("export", [*words, "--reparameterize", "--include", "torchscript"]) == 0
    deployed = load_model(tmp_path / "yolov7-tiny-deploy.pt")
    assert deployed.spec.head.module == "PlainDetect"
    assert compare_detectors(load_model(weights), deployed, 1e-4).holds

    from engine.export.parity import compare_with_checkpoint as against_file
    from engine.export.run import open_file

    file = open_file(tmp_path / "yolov7-tiny-deploy.torchscript", "cpu")
    assert against_file(deployed, file, 64).holds
    with torch.no_grad():
        deployed.model[-1].m[0].bias[0] += 1
    assert not against_file(deployed, file, 64).holds


def test_a_deploy_form_beyond_the_tolerance_is_one_line(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImplicitHead, "fuse", lambda self: self.m[0].bias.data.add_(1))
    words = ["--weights", str(weights), "--output", str(tmp_path), "--reparameterize", "--tolerance", "0.5"]
    assert main("export", words) == 1
    said = capsys.readouterr().err
    assert "yolov7-tiny-deploy.pt: not written: the deploy form of yolov7-tiny does not compute the same" in said
    assert said.endswith("; --tolerance says what is accepted\n")
    assert said.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")
def test_onnx(weights: Path, tmp_path: Path) -> None:
    words = ["--weights", str(weights), "--output", str(tmp_path), "--imgsz", "64", "--dynamic"]
    assert main("export", [*words, "--include", "onnx"]) == 0
    assert (tmp_path / "yolov7-tiny.onnx").is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "--weights is missing"),
        (["--weights", "{weights}"], "nothing to write"),
        (["--weights", "{weights}", "--reparameterize", "--imgsz", "100"], "not a multiple of 32; write 128"),
        (["--weights", "{weights}", "--reparameterize", "--imgsz", "100", "100"], "not a multiple of 32; write 128"),
        (
            ["--weights", "{weights}", "--reparameterize", "--imgsz", "64", "96"],
            "--imgsz 64 96: exported files take sq",
        ),
        (["--weights", "missing.pt", "--reparameterize"], "missing.pt"),
        (["--weights", "{weights}", "--include", "word"], "invalid choice: 'word'"),
    ],
)
def test_wrong_input_is_one_line(
    words: list[str], message: str, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main("export", [word.format(weights=weights) for word in words]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
