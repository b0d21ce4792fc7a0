"""Fixtures for all tests."""

import importlib.util
import os
from collections.abc import Generator
from pathlib import Path
from types import ModuleType

import pytest

from models.upstream.environment import prepare

ROOT = Path(__file__).resolve().parents[1]

prepare()  # before a test imports ultralytics, PyTorch or OpenCV


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Write names that are no UTF-8 with backslashes in what a test has printed: pytest-xdist cannot send them."""
    report = yield
    report.sections = [(name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections]
    return report


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder with real data, weights and reference values; tests that need it skip where it is missing."""
    folder = Path(os.environ.get("YOLO_ATTENTION_SHARED", ROOT.parent / "shared"))
    if not (folder / "parity").is_dir():
        pytest.skip(f"no reference data at {folder} (set YOLO_ATTENTION_SHARED)")
    return folder


@pytest.fixture(scope="session")
def fill(shared: Path) -> ModuleType:
    """The generator of reference weights, images and targets."""
    spec = importlib.util.spec_from_file_location("parity_fill", shared / "parity" / "fill.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
