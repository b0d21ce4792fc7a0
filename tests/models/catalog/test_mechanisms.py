"""A user's own mechanisms and library modules by dotted name."""

import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from attention import ATTENTION
from models import SpecError, build_model, load_model, read_spec
from models.catalog.dialect_table import STRUCTURES
from models.catalog.mechanisms import DOTTED, build_mechanism, canonical, load_plugin
from models.catalog.ultralytics_layers import STOCK
from models.lint import __main__ as lint
from models.spec import __main__ as spec_tool
from models.weights.checkpoint import save_checkpoint

PLUGIN = '''
import torch
from attention.registry import ATTENTION


@ATTENTION.register("{name}")
class Mine(torch.nn.Module):
    """Scale every channel."""

    def __init__(self, channels, start=0.5):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.full((channels, 1, 1), start))

    def forward(self, x):
        return x * self.scale
'''


@pytest.fixture
def plugin(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[Path, str]]:
    """A plugin file and the name that it registers; forgotten afterwards."""
    name = "Mine" + str(abs(hash(request.node.name)))
    path = tmp_path / "my_attention.py"
    path.write_text(PLUGIN.format(name=name))
    yield path, name
    ATTENTION._entries.pop(name, None)


def test_plugin_in_yaml_and_checkpoint(plugin: tuple[Path, str], small: dict[str, Any], tmp_path: Path) -> None:
    path, name = plugin
    with pytest.raises(SpecError, match=f"unknown attention mechanism '{name}'.*--plugin FILE"):
        read_spec(small, [f"{name}@4"])
    assert load_plugin(path) == (name,)
    assert load_plugin(path) == (name,)  # a second time is no mistake
    detector = build_model(small, attention=[f"{name}{{start: 2.0}}@4", f"{name}@inside:C3"])
    assert detector.state_dict()["model.4+" + name + ".scale"].flatten().tolist() == [2.0] * 16
    small["backbone"][4] = [-1, 1, name, []]
    assert build_model(small).spec.layer("4").attention.module == name
    file = tmp_path / "mine.pt"
    content = {
        "format": "yolo-attention/1",
        "spec": detector.spec.yaml,
        "names": detector.names,
        "hyp": {},
        "provenance": {},
    }
    save_checkpoint(file, {**content, "stride": detector.stride.tolist(), "weights": detector.state_dict()})
    image = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(load_model(file)(image)[0], detector.eval()(image)[0])


def test_classes_of_a_plugin_are_found_by_what_looks_for_their_module(plugin: tuple[Path, str]) -> None:
    path, name = plugin
    settings = "@dataclass\nclass Settings:\n    start: float = 0.5\n"
    head = f"from __future__ import annotations\nfrom dataclasses import dataclass\n{settings}\n"
    path.write_text(head + PLUGIN.format(name=name))
    assert load_plugin(path) == (name,)
    module = pickle.loads(pickle.dumps(build_mechanism(name, 3)))
    assert module.scale.shape == (3, 1, 1)


def test_plugins_that_leave_half_precision_start_as_the_identity(
    plugin: tuple[Path, str], small: dict[str, Any]
) -> None:
    path, name = plugin
    load_plugin(path)
    detector = build_model(small, attention=[f"{name}@4"], identity=True).train()
    with torch.autocast("cpu", torch.bfloat16):
        maps = detector(torch.rand(1, 3, 32, 32))
        plain = build_model(small).train()(torch.rand(1, 3, 32, 32))
    assert [level.dtype for level in maps] == [level.dtype for level in plain]
    sum(level.float().sum() for level in maps).backward()
    assert detector.get_parameter(f"model.4+{name}.gamma").grad is not None


def test_tools_take_plugins(plugin: tuple[Path, str], write: Callable[..., Path], small: dict[str, Any]) -> None:
    path, name = plugin
    base = write(small, "base.yaml")
    small["backbone"].append([-1, 1, name, []])
    small["head"][-1][0] = [10, 13]
    mine = write(small)
    assert spec_tool.main([str(mine), "--plugin", str(path)]) == 0
    assert lint.main([str(mine), "--base", str(base), "--plugin", str(path)]) == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import nothing_of_this_name", "fails with ModuleNotFoundError"),
        ("1 / 0", "fails with ZeroDivisionError"),
        ("def (", "fails with SyntaxError"),
        ("x = 1", "registers nothing; decorate the class"),
        ("from attention.registry import ATTENTION\nATTENTION.register('CBAM')(int)", "'CBAM' is registered already"),
    ],
)
def test_broken_plugins(text: str, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "my_attention.py"
    path.write_text(text)
    with pytest.raises(SpecError, match=expected):
        load_plugin(path)


def test_missing_plugins(tmp_path: Path) -> None:
    for path in (tmp_path / "no.py", tmp_path, "/etc/hostname"):
        with pytest.raises(SpecError, match="no such Python file"):
            load_plugin(path)


@pytest.mark.parametrize("name", [name for name in DOTTED if not name.startswith("timm")])
def test_library_modules(name: str, small: dict[str, Any]) -> None:
    module = build_mechanism(canonical(name), 32)
    assert module.eval()(torch.rand(1, 32, 5, 5)).shape == (1, 32, 5, 5)
    detector = build_model(small, attention=[{"module": name, "at": 4, "identity": True}])
    leaf = name.rpartition(".")[2]
    assert f"4+{leaf}" in [key for key, _ in detector.model.named_children()]
    base = build_model(small)
    image = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(detector.eval()(image)[0], base.eval()(image)[0])


@pytest.mark.parametrize("name", [name for name in DOTTED if name.startswith("timm")])
def test_timm_modules(name: str) -> None:
    pytest.importorskip("timm")
    assert build_mechanism(name, 32).eval()(torch.rand(1, 32, 8, 8)).shape == (1, 32, 8, 8)


def test_short_names_of_torch(small: dict[str, Any]) -> None:
    assert read_spec(small, ["nn.Identity@4"]).layer("4+Identity").module == "torch.nn.Identity"


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("torch.nn.Linear@4", r"'torch.nn.Linear' is not on the list of library modules; did you mean torch\.nn"),
        ("os.system@4", "'os.system' is not on the list"),
        ("subprocess.run@4", "is not on the list"),
        ("torchvision.ops.SqueezeExcitation{squeeze: 4}@4", "has no option 'squeeze'; it takes squeeze_channels"),
        ("torch.nn.Dropout2d{p: 7}@4", "dropout probability"),
    ],
)
def test_mistakes(entry: str, expected: str, small: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match=expected):
        build_model(small, attention=[entry])


def test_no_name_means_two_things() -> None:
    """A row's module is looked up among blocks first; a mechanism of the same name needs a dialect."""
    assert set(STOCK) & {*ATTENTION.names(), *ATTENTION.aliases()} <= set(STOCK) & set(STRUCTURES) == {"PSA"}


def test_a_yaml_cannot_load_a_plugin(small: dict[str, Any], write: Callable[..., Path], tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    write(f"open({str(mark)!r}, 'w')", "evil.py")
    with pytest.raises(SpecError):
        read_spec(write({**small, "plugin": str(tmp_path / "evil.py"), "attention": ["evil@4"]}))
    assert not mark.exists()


def test_reading_does_not_import_ultralytics(root: Path) -> None:
    code = (
        "import sys; from models import read_spec; read_spec('ultralytics/yolo11n', ['SE@inside:C3k2']);"
        "assert 'ultralytics' not in sys.modules; assert 'timm' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True, timeout=300)
