"""The structure that the design promises, read from the syntax trees."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("attention", "models", "engine", "study", "data", "metrics")
ALLOWED = {
    "attention": {"attention"},
    "models": {"models", "attention"},
    "engine": {"engine", "models", "attention", "data", "metrics"},
    "study": {"study", "engine", "models", "attention", "data", "metrics"},
    "data": {"data"},
    "metrics": {"metrics"},
}
# Official pickles name these modules; ours must never answer to them.
FORBIDDEN = ("models/yolo.py", "models/common.py", "models/experimental.py")
ENTRIES = ("train.py", "val.py", "detect.py", "export.py", "study.py")


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imported(path: Path) -> list[str]:
    """Return all modules that a file imports, wherever in it."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.append(node.module or "")
    return found


def violations(package: str, files: list[tuple[str, list[str]]]) -> list[str]:
    return [
        f"{file} imports {module}"
        for file, modules in files
        for module in modules
        if module.split(".")[0] in PACKAGES and module.split(".")[0] not in ALLOWED[package]
    ]


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_point_one_way(package: str) -> None:
    files = [(str(path.relative_to(ROOT)), imported(path)) for path in sources(package)]
    assert violations(package, files) == []


def test_the_check_can_fail() -> None:
    assert violations("attention", [("attention/x.py", ["models.spec"])]) == ["attention/x.py imports models.spec"]


def test_ultralytics_is_patched_in_one_place_only() -> None:
    """Attributes of ultralytics' modules and classes are assigned in one module and nowhere else."""
    for path in (p for package in PACKAGES for p in sources(package)):
        if path == ROOT / "engine" / "runtime" / "ultralytics_patches.py":
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {
            alias.asname or alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ultralytics")
            for alias in node.names
        }
        for node in ast.walk(tree):
            targets = node.targets if isinstance(node, ast.Assign) else []
            for target in targets:
                base = target.value if isinstance(target, ast.Attribute) else None
                assert not (isinstance(base, ast.Name) and base.id in names), f"{path}:{node.lineno} patches {base.id}"


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
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 380
    }
    assert not long


def test_no_path_of_a_machine_stands_in_the_project() -> None:
    suffixes = {".py", ".md", ".yaml", ".toml", ".txt", ".cff"}
    places = [ROOT / package for package in (*PACKAGES, "cfg", "docs", "tests", "benchmarks", "examples")]
    files = [p for place in places for p in place.rglob("*") if p.suffix in suffixes]
    files += [p for p in ROOT.iterdir() if p.suffix in suffixes]
    marks = ("/" + "work/", "/" + "root/")
    assert not [str(p) for p in files if any(mark in p.read_text(encoding="utf-8", errors="replace") for mark in marks)]
