"""Every message that the pages on troubleshooting quote is what the tools say: each is provoked here."""

import contextlib
import importlib.util
import io
import os
import pickle
import re
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from matplotlib import font_manager
from torch import nn

from data.text_drawing import find_font
from engine.cli import main as command_line
from engine.cli.run_folder import DIGITS_WEIGHTS
from engine.errors import RunFailed, UsageError
from engine.export import run as export_run
from engine.inspection import cam
from engine.runtime import fonts, gpu_advice
from engine.runtime.gpu_probe import Build, Gpu
from engine.runtime.log import LOGGER
from engine.training import divergence, start_notes
from engine.training.precision import Precision
from models import build_model, read_spec
from models.errors import SpecError
from tests.documents import ROOT

# Of PyTorch and of the system's loader: nothing of ours can say them here.
OF_OTHERS = {"CUDA out of memory", "ImportError: libGL.so.1"}
WEIGHTS = str(DIGITS_WEIGHTS)


def quotes(page: str) -> list[str]:
    """Return what stands as code in the first column of a page's table."""
    lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
    cells = [line.split(" | ")[0] for line in lines if line.startswith("| ")][1:]
    return [quote for cell in cells for quote in re.findall(r"`([^`]+)`", cell)]


def fits(quote: str, message: str) -> bool:
    """Tell whether a message has a quote's words, in order; the ellipsis stands for anything."""
    return re.search(".*?".join(re.escape(part.strip()) for part in quote.split("…")), message) is not None


@pytest.fixture(scope="module")
def messages(tmp_path_factory):
    """One message of each kind, as the tools say it."""
    folder = tmp_path_factory.mktemp("faults")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        found = [*_of_commands(folder), *_of_models(), *_of_the_machine(folder, patch)]
    return [" ".join(message.split()) for message in found]


def _said(command: str, *argv: str) -> str:
    """Return what an entry script says that refuses its input."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        assert command_line.main(command, list(argv)) == 2
    return said.getvalue()


def _write(folder, labels: str | None) -> None:
    for split in ("train", "val"):
        for kind in ("images", "labels"):
            (folder / "d" / kind / split).mkdir(parents=True, exist_ok=True)
        for number in range(2):
            cv2.imwrite(str(folder / f"d/images/{split}/{split}{number}.jpg"), np.full((48, 64, 3), 90, np.uint8))
            if labels is not None:
                (folder / f"d/labels/{split}/{split}{number}.txt").write_text(labels)


def _of_commands(folder) -> list[str]:
    """Faults in what the user gives."""
    start = ("--weights", WEIGHTS, "--data")
    yaml = "path: d\ntrain: images/train\nval: images/val\nnames: [cat]\n"
    (folder / "d.yaml").write_text(yaml)
    (folder / "lost.yaml").write_text(yaml.replace("images/val", "images/vall"))
    (folder / "tab.yaml").write_text(yaml.replace("\ntrain", "\n\ttrain"))
    (folder / "wide.yaml").write_text(yaml.replace("train:", "train："), encoding="utf-8")
    (folder / "stranger.pt").write_bytes(pickle.dumps(os.system))
    _write(folder, None)
    found = [
        _said("train", "--weights", "yolov5x6.pt", "--data", "d.yaml"),
        _said("train", *start, "nothing.yaml"),
        _said("train", *start, "tab.yaml"),
        _said("train", *start, "wide.yaml"),
        _said("train", *start, "d.yaml"),
    ]
    _write(folder, "5 0.5 0.5 0.5 0.5\n")
    found.append(_said("train", *start, "d.yaml"))
    _write(folder, "0 0.5 0.5 0.5 0.5\n")
    found += [
        _said("train", *start, "lost.yaml"),
        _said("val", *start, "d.yaml"),
        _said("train", *start, "d.yaml", "--attention", "SE@4 CBAM@neck.P3"),
        _said("train", *start, "d.yaml", "--attention", "SE@neck.P9"),
        _said("train", *start, "d.yaml", "--attention", "CBAMM@neck.P3"),
        _said("train", "--lr0", "0.001"),
        _said("train", "--adam"),
        _said("train", "--resume", WEIGHTS),
        _said("detect", "--source", "nothing.jpg"),
        _said("detect", "--source", "https://youtu.be/abc"),
        _said("detect", "--weights", "stranger.pt", "--source", "d/images/train"),
    ]
    trained = ("--epochs", "1", "--imgsz", "64", "--noplots", "--project", "runs", "--device", "cpu")
    assert command_line.main("train", [*start, "d.yaml", *trained]) == 0
    found.append(_said("train", "--resume", "runs/exp"))
    _write(folder, "0 0.5 0.5 0.25 0.25\n")
    found.append(_said("train", "--resume", "runs/exp", "--epochs", "2"))
    return found


class _Spoiling(nn.Module):
    def forward(self, x):
        half = torch.is_autocast_enabled("cpu")
        return x / (1 - torch.sigmoid(torch.full_like(x, 9.0, dtype=torch.bfloat16 if half else None)))


def _of_models() -> list[str]:
    """Faults in what is built, trained and written."""
    found = []
    anchors = [[10, 13, 16, 30, 33, 23]]
    for row in ([-1, 1, "Nothing", []], [[0, -1], 1, "Concat", [1]]):
        rows = [[-1, 1, "Conv", [16, 3, 2]], [-1, 1, "Conv", [16, 3, 2]], row]
        with pytest.raises(SpecError) as caught:
            read_spec({"nc": 1, "anchors": anchors, "backbone": rows, "head": [[[-1], 1, "Detect", ["nc", "anchors"]]]})
        found.append(str(caught.value))
    found.append(start_notes.identity_warning(build_model("yolov5n", attention=["CBAM@neck.P3"], weights=WEIGHTS)))
    model = build_model("yolov5n", nc=2, attention=["SE@neck.P4"]).train()
    model.get_submodule(model.attention_names()[0]).gate = _Spoiling()
    losses = {"box_loss": torch.tensor(1.0)}
    image = torch.rand(2, 3, 64, 64) + 0.1
    found.append(divergence.diagnose(model, image, ["a.png", "b.png"], losses, Precision("bf16", "")))
    return found


def _of_the_machine(folder, patch) -> list[str]:
    """What is missing on the machine, and a file that is not what it should be."""
    found = []
    if not torch.cuda.is_available():
        found.append(_said("train", "--weights", WEIGHTS, "--data", "d.yaml", "--device", "7"))
    patch.setattr(gpu_advice, "nvidia_gpus", lambda: ([Gpu("T4", (7, 5))], (13, 0)))
    patch.setattr(gpu_advice, "installed_build", lambda: Build("2.15.0+cpu", None, False))
    found.append(gpu_advice.unusable_gpu())
    find = importlib.util.find_spec
    gone = ("wandb", cam.LIBRARY)
    patch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name in gone else find(name, *rest))
    patch.setenv("YOLO_ATTENTION_LOGGERS", "wandb")
    found += start_notes.missing_loggers()
    with pytest.raises(UsageError) as missing:
        cam.check_grad_cam()
    found.append(str(missing.value))
    spec = SimpleNamespace(origin=str(folder / "models" / "__init__.py"))
    patch.setattr(importlib.util, "find_spec", lambda *_: spec)
    with pytest.raises(UsageError) as hidden:
        command_line._check_checkout()
    found.append(str(hidden.value))
    patch.setattr(importlib.util, "find_spec", find)
    return [*found, *_of_exports(folder, patch), *_of_fonts(folder, patch)]


def _of_exports(folder, patch) -> list[str]:
    """Exports whose package is missing, and whose file computes something else."""
    options = command_line.make_parser("export").parse_args(["--weights", WEIGHTS, "--imgsz", "64"])

    def without_the_package(*_, **__):
        raise ModuleNotFoundError("No module named 'coremltools'", name="coremltools")

    patch.setattr(export_run, "write_format", without_the_package)
    model = build_model("yolov5n", nc=2)
    with pytest.raises(UsageError) as missing:
        export_run.export_format(model, "coreml", folder / "a.mlpackage", options, None)
    parity = SimpleNamespace(holds=False)
    patch.setattr(export_run, "compare_with_checkpoint", lambda *_: parity)
    patch.setattr(export_run, "open_file", lambda *_: None)
    with pytest.raises(RunFailed) as different:
        export_run._check(model, folder / "a.onnx", folder / "a.onnx", options, None)
    return [str(missing.value), str(different.value)]


def _of_fonts(folder, patch) -> list[str]:
    patch.setattr(fonts, "cache_folder", lambda: folder)
    patch.setattr(font_manager, "findSystemFonts", lambda: [])
    said: list[str] = []
    patch.setattr(LOGGER, "warning", lambda text, *_: said.append(text))
    find_font.cache_clear()
    fonts.prepare_plots({0: "猫"})
    find_font.cache_clear()
    return said


@pytest.mark.parametrize("page", ["docs/troubleshooting.md", "docs/troubleshooting.zh.md"])
def test_every_quoted_message_is_said(page, messages):
    found = quotes(page)
    assert len(found) > 25
    wrong = [quote for quote in found if quote not in OF_OTHERS and not any(fits(quote, said) for said in messages)]
    assert not wrong, messages


def test_every_message_is_explained(messages):
    found = quotes("docs/troubleshooting.md")
    assert not [said for said in messages if not any(fits(quote, said) for quote in found)]


def test_a_quote_of_other_words_fits_nothing():
    assert fits("there is no neck.P9; there are …", "attention[0]: there is no neck.P9; there are neck.P3 (row 17)")
    assert not fits("there is no neck.P8; there are …", "attention[0]: there is no neck.P9; there are neck.P3 (row 17)")
    assert not fits("b … a", "a b")
