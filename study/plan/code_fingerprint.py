"""Fingerprint the code that a run depends on: what the modules say, not what they are called or where they lie."""

import ast
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path

from attention import ATTENTION
from data.folders import ROOT

TRAINING_CODE, MEASURING_CODE = ("engine.training.run",), ("study.execute.measure",)
LIBRARIES = ("torch", "torchvision", "ultralytics", "numpy", "opencv-python")


def code_hash(roots: Iterable[str], mechanisms: Iterable[str] = ()) -> str:
    """Hash everything that some modules can run.

    Comments, docstrings and layout do not count, nor do the modules' paths; of the mechanisms only the named ones do.

    Args:
        roots: modules, such as "engine.training".
        mechanisms: registered names.

    Returns:
        Hexadecimal SHA-256 of the syntax trees of all modules of ours that are imported on the way, in an order of
        their own, and of the versions of the libraries that compute.
    """
    wanted = [*roots, *(ATTENTION[name].__module__ for name in mechanisms if name in ATTENTION)]
    digest = hashlib.sha256()
    # Sorted by content, and each content once: a package around a moved module, empty as it is, changes nothing.
    for content in sorted({_content_hash(path) for path in closure(wanted)}):
        digest.update(f"{content}\n".encode())
    for library in LIBRARIES:
        digest.update(f"{library} {version(library)}\n".encode())
    return digest.hexdigest()


def closure(roots: Iterable[str]) -> set[Path]:
    """Return the files of modules of ours, and of all that they import, wherever in them.

    Args:
        roots: modules, such as "engine.training".
    """
    files: set[Path] = set()
    waiting = [path for name in roots for path in _files(name)]
    while waiting:
        path = waiting.pop()
        if path not in files:
            files.add(path)
            waiting += [file for name in _imports(path) for file in _files(name)]
    return files


def _files(name: str) -> Iterator[Path]:
    """Yield the files that importing a module runs: its own and those of the packages around it."""
    parts = name.split(".")
    for length in range(1, len(parts) + 1):
        stem = ROOT.joinpath(*parts[:length])
        # A package hides a module of its name, as study/ does study.py.
        file = next((f for f in (stem / "__init__.py", stem.with_suffix(".py")) if f.is_file()), None)
        if file is not None:
            yield file


@cache
def _imports(path: Path) -> tuple[str, ...]:
    """Return the modules that a file imports; a name of a lazy package stands for the module that it comes from."""
    names: list[str] = []
    for node in _executed(_tree(path)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            homes = _homes(node.module)
            names += [homes.get(alias.name, f"{node.module}.{alias.name}") for alias in node.names]
    return tuple(names)


def _executed(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield all nodes but those that only a type checker reads."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        yield node
        yield from _executed(node)


@cache
def _homes(package: str) -> dict[str, str]:
    """Return name → module of a package whose `__getattr__` loads names when they are asked for."""
    init = ROOT.joinpath(*package.split(".")) / "__init__.py"
    if not init.is_file():
        return {}
    pairs: dict[str, str] = {}
    for node in ast.walk(_tree(init)):
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and isinstance(value, ast.Constant):
                    pairs[str(key.value)] = str(value.value)
    return {name: home for name, home in pairs.items() if any(_files(home))}


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def _content_hash(path: Path) -> str:
    """Hash what a file says, without docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            match node.body:
                case [ast.Expr(value=ast.Constant(value=str())), *rest]:
                    node.body = rest
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()
