"""Old module paths, in a plugin or a script, end in one line that names the new one."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from models import SpecError
from models.catalog.mechanisms import load_plugin
from models.spec import __main__ as spec_tool
from moved_modules import MOVED

ROOT = Path(__file__).resolve().parents[1]


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def test_the_old_paths_are_gone_and_the_new_ones_are_there() -> None:
    assert len(MOVED) > 150
    assert [old for old in MOVED if is_module(old)] == []
    for text in MOVED.values():
        paths = re.sub(r"(\S+) \((.*?)\)", lambda m: ", ".join(f"{m[1]}.{n}" for n in m[2].split(", ")), text)
        assert [new for new in paths.split(", ") if not is_module(new)] == []


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("import attention.ops", "attention.ops is now attention.layers.checks, attention.layers.conv_norm, "),
        ("from attention.cbam import CBAM", "attention.cbam is now attention.mechanisms.cbam"),
        ("from attention import maps", "attention.maps is now attention.layers.tensor_ops"),
        (
            "from models.registry import register",
            "models.registry is now models.catalog.registry; plugins write: ",
        ),
        ("from models.rules import scaled", "models.rules is now models.catalog.channel_rules; plugins write: from "),
        ("from models import rules", "models.rules is now models.catalog.channel_rules"),
        ("import models.weights.importer", "models.weights.importer is now models.weights.official"),
        ("from engine.weights import load_weights", "engine.weights is now engine.model_loading"),
        ("import data.yaml_file", "data.yaml_file is now data.yaml_reader"),
        ("import metrics.overlap", "metrics.overlap is now metrics.iou"),
        ("import study.halves", "study.halves is now study.plan.split_val"),
    ],
)
def test_a_plugin_is_told(line: str, expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.py"
    path.write_text(f'"""Mine."""\n{line}\n')
    with pytest.raises(SpecError, match=re.escape(f"mine.py: line 2 fails with MovedModuleError: {expected}")):
        load_plugin(path)
    assert spec_tool.main(["yolov5n", "--plugin", str(path)]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert expected in said


def run(*words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, env=environment, check=False)


def test_a_script_and_a_command_are_told() -> None:
    done = run("-c", "from models.rules import scaled")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(
        "moved_modules.MovedModuleError: models.rules is now models.catalog."
    )
    done = run("-m", "models.spec_tool", "yolov5n")
    assert done.returncode == 1
    (said,) = done.stderr.splitlines()
    assert "models.spec_tool is now models.spec" in said


def test_a_module_that_never_was_is_only_missing() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'models\.yolo'"):
        __import__("models.yolo")


def test_a_plugin_of_a_block_imports_from_models(tmp_path: Path) -> None:
    """In a process of its own, so that the names are found before anything else has been imported."""
    plugin = tmp_path / "mine.py"
    plugin.write_text(
        "from torch import nn\n"
        "from attention.registry import ATTENTION\n"
        "from models import register_block, scaled\n"
        "@register_block(scaled(stride_at=2), 'PaperBlock')\n"
        "class PlainConv(nn.Conv2d):\n    pass\n"
        "@ATTENTION.register('PlainGate')\n"
        "class PlainGate(nn.Module):\n"
        "    def __init__(self, channels):\n        super().__init__()\n"
        "    def forward(self, x):\n        return x * x.sigmoid()\n"
    )
    model = tmp_path / "mine.yaml"
    model.write_text(
        "nc: 2\nanchors: [[10, 13]]\nbackbone:\n- [-1, 1, PaperBlock, [8, 3, 2, 1]]\n- [-1, 1, PlainGate, []]\n"
        "head:\n- [[1], 1, Detect, [nc, anchors]]\n"
    )
    done = run("-m", "models.spec", str(model), "--plugin", str(plugin))
    assert done.returncode == 0, done.stderr
    # 3 × 8 × 3 × 3 weights and 8 biases.
    assert "PlainConv" in done.stdout or "PaperBlock" in done.stdout
    assert "224" in done.stdout
