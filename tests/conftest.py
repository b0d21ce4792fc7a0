"""Fixtures for all tests."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


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
