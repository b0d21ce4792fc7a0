"""requirements.lock: everything that is required is pinned in it, within its range, and with hashes."""

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version


def required(file: Path) -> list[Requirement]:
    """The requirements of a file and of those that it includes."""
    found = []
    for line in file.read_text(encoding="utf-8").splitlines():
        text = line.split("#")[0].strip()
        if text.startswith("-r "):
            found += required(file.with_name(text[3:].strip()))
        elif text:
            found.append(Requirement(text))
    return found


@pytest.fixture
def pins(root: Path) -> dict[str, list[tuple[Version, int]]]:
    """Package → its versions, for some platforms more than one, and how many hashes each has."""
    found: dict[str, list[tuple[Version, int]]] = {}
    blocks = re.split(r"\n(?=[A-Za-z0-9])", (root / "requirements.lock").read_text(encoding="utf-8"))
    for block in blocks:
        head = re.match(r"([\w.-]+)==([^\s;]+)", block)
        if head:
            versions = found.setdefault(head[1].lower().replace("_", "-"), [])
            versions.append((Version(head[2]), block.count("--hash=sha256:")))
    return found


def test_everything_is_pinned_within_its_range(root: Path, pins: dict) -> None:
    for requirement in required(root / "requirements-dev.txt"):
        versions = [version for version, _ in pins.get(requirement.name.lower().replace("_", "-"), [])]
        assert versions, f"{requirement} is not in requirements.lock; run python scripts/update_lock.py --keep"
        assert all(version in requirement.specifier for version in versions), (str(requirement), versions)


def test_every_pin_has_hashes(pins: dict) -> None:
    assert len(pins) > 60
    assert [name for name, versions in pins.items() if not all(hashes for _, hashes in versions)] == []
