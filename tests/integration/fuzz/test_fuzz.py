"""Files of strangers, 20,000 and more of them: each is used or refused in one line, within seconds and 2 GB."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from tests.integration.fuzz.targets import run, targets

TARGETS = targets()
CASES = 22_000  # of the whole campaign
CORPUS = Path(__file__).parent / "corpus"  # TARGET/NAME: what broke a reader once, and bombs by hand


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_a_slice_of_every_target(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    target, folder = TARGETS[name], tmp_path_factory.mktemp(name)

    @settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(content=target.cases)
    def case(content: bytes) -> None:
        run(target, content, folder)

    case()


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*/*")), ids=lambda path: f"{path.parent.name}-{path.name}")
def test_the_corpus(path: Path, tmp_path: Path) -> None:
    run(TARGETS[path.parent.name], path.read_bytes(), tmp_path)


def test_the_shares_add_up() -> None:
    assert sum(target.share for target in TARGETS.values()) == 100


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(TARGETS))
def test_the_campaign(name: str, root: Path) -> None:
    """In a process of its own, so that a crash is seen and memory is measured."""
    cases = CASES * TARGETS[name].share // 100
    command = [sys.executable, "-X", "faulthandler", "-m", "tests.integration.fuzz.campaign", name, str(cases)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=850, check=False)
    assert done.returncode == 0, done.stderr[-5000:]
    found = json.loads(done.stdout.splitlines()[-1])
    print(name, found)
    assert found["cases"] >= cases
    assert found["past"] >= cases / 2
    assert found["mib"] < 2048
