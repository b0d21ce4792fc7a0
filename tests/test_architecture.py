"""The structure that the design promises, read from the syntax trees."""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

from scripts import architecture

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = architecture.PACKAGES
# Official pickles name these modules; ours must never answer to them.
FORBIDDEN = ("models/yolo.py", "models/common.py", "models/experimental.py")
ENTRIES = ("train.py", "val.py", "detect.py", "export.py", "study.py")


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def test_no_module_imports_itself_by_way_of_others() -> None:
    assert architecture.circles(architecture.arrows(architecture.modules())) == []


def test_imports_point_one_way() -> None:
    assert architecture.backward(architecture.arrows(architecture.modules())) == []


def test_the_checks_can_fail() -> None:
    pairs = [("attention.attach", "models.build"), ("models.spec.row", "models.spec.row")]
    assert architecture.backward(pairs[:1]) == ["attention.attach -> models.build runs back"]
    assert architecture.backward([("models.spec.row", "models.network.parser")]) == [
        "models.spec.row -> models.network.parser runs back"
    ]
    assert architecture.backward([("engine.new.x", "engine.errors")]) == [
        "engine.new.x -> engine.errors: one of them stands in no room that LAYERS names"
    ]
    assert architecture.circles([("a", "b"), ("b", "c"), ("c", "a"), ("c", "d")]) == [["a", "b", "c"]]


def test_lazy_imports_and_lazy_names_count(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    init, user, home = (tmp_path / "data" / name for name in ("__init__.py", "user.py", "home.py"))
    init.write_text('_HOMES = {"thing": "data.home"}')
    user.write_text("def f():\n    from data import thing")
    home.write_text("if TYPE_CHECKING:\n    import data.user")
    files = {"data": init, "data.user": user, "data.home": home}
    assert architecture.arrows(files) == {("data.user", "data.home")}


def test_no_import_is_relative() -> None:
    for path in (p for package in PACKAGES for p in sources(package)):
        levels = [n.level for n in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(n, ast.ImportFrom)]
        assert not any(levels), path


def test_no_folder_is_crowded() -> None:
    """Mechanisms and blocks are as many as there are papers; every other folder can be read at a glance."""
    crowded = Counter(path.parent for package in PACKAGES for path in sources(package) if path.name != "__init__.py")
    for folder in ("attention/mechanisms", "models/blocks"):
        crowded.pop(ROOT / folder)
    assert {str(folder.relative_to(ROOT)): count for folder, count in crowded.items() if count > 18} == {}


def test_ultralytics_is_patched_in_one_place_only() -> None:
    """Attributes of ultralytics' modules and classes are assigned in one module and nowhere else."""
    for path in (p for package in PACKAGES for p in sources(package)):
        if path == ROOT / "models" / "upstream" / "patches.py":
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {
            alias.asname or alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("ultralytics", "models.upstream"))
            for alias in node.names
        }
        for node in ast.walk(tree):
            targets = node.targets if isinstance(node, ast.Assign) else []
            for target in targets:
                base = target.value if isinstance(target, ast.Attribute) else None
                assert not (isinstance(base, ast.Name) and base.id in names), f"{path}:{node.lineno} patches {base.id}"


def test_ultralytics_is_imported_through_one_gateway() -> None:
    """Everything else asks models.upstream, which prepares the process first; nothing relies on the order of lines."""
    gateway = ROOT / "models" / "upstream"
    for path in (p for package in PACKAGES for p in sources(package) if gateway not in p.parents):
        text = path.read_text(encoding="utf-8")
        assert "isort: split" not in text, path
        assert not re.search(r"^\s*(from|import) ultralytics\b", text, re.MULTILINE), path


def test_names_that_official_pickles_use_are_free() -> None:
    assert not [name for name in FORBIDDEN if (ROOT / name).exists()]


@pytest.mark.parametrize("name", [name for name in ENTRIES if (ROOT / name).exists()])
def test_entry_scripts_hold_no_logic(name: str) -> None:
    assert len((ROOT / name).read_text(encoding="utf-8").splitlines()) <= 80


def test_files_stay_readable() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for package in PACKAGES
        for path in sources(package)
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 300
    }
    assert not long


def test_no_path_of_a_machine_stands_in_the_project() -> None:
    suffixes = {".py", ".md", ".yaml", ".toml", ".txt", ".cff"}
    places = [ROOT / package for package in (*PACKAGES, "cfg", "docs", "tests", "benchmarks", "examples")]
    files = [p for place in places for p in place.rglob("*") if p.suffix in suffixes]
    files += [p for p in ROOT.iterdir() if p.suffix in suffixes]
    marks = ("/" + "work/", "/" + "root/")
    assert not [str(p) for p in files if any(mark in p.read_text(encoding="utf-8", errors="replace") for mark in marks)]
