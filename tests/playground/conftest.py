"""Fixtures of the playground's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from playground.access import Access


@pytest.fixture
def access(tmp_path: Path) -> Iterator[Access]:
    """Access to one folder, `allowed`, and to runs in `runs`; uploads of 1 MB."""
    (tmp_path / "allowed").mkdir()
    made = Access([str(tmp_path / "allowed")], str(tmp_path / "runs"), 1 << 20)
    yield made
    made.close()
    assert not made.uploads.exists()
