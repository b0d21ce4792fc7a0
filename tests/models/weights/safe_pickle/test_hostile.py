"""Nothing that a weight file asks for is run, and no file costs more than seconds and megabytes."""

import json
import pickle
import subprocess
import sys
import time
import types
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.errors import CheckpointError
from models.weights.checkpoint import is_ours, read_checkpoint, save_checkpoint
from models.weights.official import read_official
from models.weights.safe_pickle import unpickler
from tests.models.weights.fake import save_original
from tests.models.weights.safe_pickle.hostile import bombs, calls, corpus, legacy, zipped

# What may load: nothing in it does anything, or the reader does not look at it.
HARMLESS = {"build-setstate", "bound-class", "bound-call", "own-writer", "import-under-models"}


@pytest.fixture
def canary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A path that every hostile file tries to create, and modules whose import or use creates it as well."""
    path = tmp_path / "canary"
    folder = tmp_path / "path"
    folder.mkdir()
    (folder / "canary_module.py").write_text(f"open({str(path)!r}, 'w').close()\nModel = dict\n")
    monkeypatch.syspath_prepend(str(folder))

    class Trap:
        def __new__(cls, *_: object) -> "Trap":
            path.touch()
            return super().__new__(cls)

        def __setstate__(self, state: object) -> None:
            path.touch()

    common = types.ModuleType("models.common")
    Trap.__module__, Trap.__qualname__ = "models.common", "Trap"
    common.Trap = Trap  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "models.common", common)
    return path


def outcome(path: Path) -> list[str]:
    """Read with every reader; each gives content or a CheckpointError of one line that names the file."""
    found = []
    for reader in (read_official, read_checkpoint):
        try:
            reader(path)
        except CheckpointError as error:
            message = str(error)
        else:
            message = "loaded"
        found.append(message)
    assert all(message == "loaded" or (path.name in message and "\n" not in message) for message in found)
    assert is_ours(path) in (True, False)
    return found


def test_the_canary_works(canary: Path) -> None:
    """The corpus would do harm: the standard reader does create the canary."""
    for name in ("reduce", "eval", "import", "bound-class", "inst"):
        pickle.loads(calls(canary)[name])
        assert canary.exists(), name
        canary.unlink()
        sys.modules.pop("canary_module", None)


def test_nothing_is_run(canary: Path, tmp_path: Path) -> None:
    files = dict(corpus(canary))
    assert len(files) >= 40
    for name, data in files.items():
        if name.startswith("bomb-"):
            continue
        path = tmp_path / name
        path.write_bytes(data)
        started = time.process_time()
        results = outcome(path)
        assert time.process_time() - started < 5, name
        assert not canary.exists(), name
        assert "canary_module" not in sys.modules, name
        # Only files whose callables are inert stand-ins get past the pickle, and then there is no model in them.
        assert "loaded" not in results, name
        path.unlink()


@pytest.mark.parametrize("name", sorted(calls(Path("canary"))))
def test_a_call_is_named(name: str, canary: Path, tmp_path: Path) -> None:
    """The message says what the file asks for, or which opcode is refused."""
    if name in HARMLESS:
        return
    data = calls(canary)[name]
    words = ("asks for", "calls", "opcode", "outside the file", "sets attributes", "damaged", "not of one", "no model")
    for number, content in enumerate((zipped(data), legacy(data))):
        path = tmp_path / f"{number}.pt"
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match="|".join(words)):
            read_official(path)


@pytest.mark.parametrize(
    ("module", "name"), [("os", "system"), ("posix", "system"), ("builtins", "eval"), ("subprocess", "Popen")]
)
def test_the_message_names_the_callable(module: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / "evil.pt"
    path.write_bytes(zipped(f"\x80\x02c{module}\n{name}\n(tR.".encode("latin1")))
    for reader in (read_official, read_checkpoint):
        with pytest.raises(CheckpointError, match=rf"evil\.pt: the file asks for {module}\.{name}, which is refused"):
            reader(path)


@pytest.mark.parametrize("opcodes", [100_000, pytest.param(unpickler.MAX_OPCODES, marks=pytest.mark.slow)])
def test_bombs_are_bounded(canary: Path, tmp_path: Path, opcodes: int) -> None:
    """All bombs in a process of their own: memory stays below 1 GB above the start, each below 10 s of work."""
    files = []
    for name, data in corpus(canary):
        if name.startswith("bomb-"):
            (tmp_path / name).write_bytes(data)
            files.append(name)
    script = """
import json, resource, sys, time
from pathlib import Path
from models.errors import CheckpointError
from models.weights.checkpoint import read_checkpoint
from models.weights.safe_pickle import unpickler as unpickle
from models.weights.official import read_official
unpickle.MAX_OPCODES = int(sys.argv[1])
memory = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
start, results = memory(), {}
for path in map(Path, sys.argv[2:]):
    for reader in (read_official, read_checkpoint):
        began = time.process_time()
        try:
            reader(path)
            text = "loaded"
        except CheckpointError as error:
            text = str(error)
        results[f"{path.name} {reader.__name__}"] = (text, time.process_time() - began, memory() - start)
print(json.dumps(results))
"""
    command = [sys.executable, "-c", script, str(opcodes), *(str(tmp_path / name) for name in files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    results = json.loads(done.stdout)
    assert len(results) == 2 * len(files)
    for name, (text, seconds, megabytes) in results.items():
        assert text != "loaded", name
        assert "\n" not in text
        assert seconds < 10, (name, seconds)
        assert megabytes < 1024, (name, megabytes)
    assert not canary.exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("huge-shape", r"a tensor of shape \(1099511627776,\) does not fit its storage of 4 numbers"),
        ("huge-expanded", r"a tensor of shape \(1099511627776,\) does not fit its storage of 4 numbers"),
        ("huge-storage", "its tensors are larger than the file"),
        ("negative-shape", "a size or position out of range"),
        ("negative-offset", "a size or position out of range"),
        ("beyond-the-end", r"a tensor of shape \(4,\) does not fit its storage of 4 numbers"),
        ("stride-beyond", r"a tensor of shape \(2,\) does not fit its storage of 4 numbers"),
        ("short-storage", "a tensor has 15 of 16 bytes"),
        ("no-storage", "the part data/0 is missing"),
        ("legacy-huge-storage", "a storage claims 4503599627370496 bytes"),
        ("legacy-negative-storage", "a storage claims -4 bytes"),
        ("compressed", "compressed or encrypted, which torch.save never does"),
        ("compressed-tensor", "compressed or encrypted, which torch.save never does"),
        ("laughing-modules", "modules nested without end"),
        ("own-child", "modules nested without end"),
        ("directory-claims", "table of contents claims 2147483647 bytes"),
        ("entry-claims", "claims 4294967280 bytes"),
        ("huge-keys", "an integer key beyond 64 bits"),
        ("laughing-set", "a tuple as key"),
    ],
)
def test_bombs_say_what_is_wrong(name: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "bomb.pt"
    path.write_bytes(bombs()[name])
    with pytest.raises(CheckpointError, match=message):
        read_official(path)


def test_shared_tensors_may_not_add_up_without_end(tmp_path: Path) -> None:
    """One storage of 40 kB named a thousand times would be 40 MB of tensors from a file of 60 kB."""
    whole = torch.zeros(10_000)
    torch.save({str(index): whole for index in range(1000)}, tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match="its tensors are larger than the file"):
        read_official(tmp_path / "a.pt")
    save_checkpoint(tmp_path / "b.pt", {"spec": {}, "names": {0: "a"}, "stride": [8.0], "hyp": {},
                                        "weights": {"a": whole, "b": whole}})  # fmt: skip
    assert torch.equal(read_checkpoint(tmp_path / "b.pt")["weights"]["b"], whole)


@pytest.mark.parametrize("stream", [False, True])
def test_cut_off_at_every_kilobyte(stream: bool, tmp_path: Path) -> None:
    path = tmp_path / "whole.pt"
    save_original(path, legacy=stream)
    data = path.read_bytes()
    assert read_official(path).nc == 3
    cut = tmp_path / "cut.pt"
    for length in range(0, len(data), 1024):
        cut.write_bytes(data[:length])
        assert "loaded" not in outcome(cut), length


def test_ours_cut_off_at_every_kilobyte(tmp_path: Path, ours: dict) -> None:
    for name in ("whole.pt", "whole.safetensors"):
        path = tmp_path / name
        save_checkpoint(path, ours)
        data = path.read_bytes()
        cut = tmp_path / f"cut{path.suffix}"
        for length in range(0, len(data), 1024):
            cut.write_bytes(data[:length])
            assert "loaded" not in outcome(cut), (name, length)


def test_the_real_file_cut_off_at_every_kilobyte(shared: Path, tmp_path: Path) -> None:
    data = (shared / "weights" / "yolov5n.pt").read_bytes()
    cut = tmp_path / "cut.pt"
    cut.write_bytes(data)
    with cut.open("r+b") as file:
        for length in range(len(data) // 1024 * 1024, 0, -1024):
            file.truncate(length)
            with pytest.raises(CheckpointError, match=r"cut off|not a torch checkpoint"):
                read_official(cut)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=8), kind=st.integers(0, 2)
)
def test_mutations_load_or_are_refused(
    changes: list[tuple[float, int]], kind: int, valid_files: list[bytes], tmp_path: Path
) -> None:
    """Any bytes of a valid file changed: content or a CheckpointError, never another exception."""
    data = bytearray(valid_files[kind])
    for position, value in changes:
        data[min(int(position * len(data)), len(data) - 1)] = value
    path = tmp_path / ("mutated.safetensors" if kind == 2 else "mutated.pt")
    path.write_bytes(data)
    outcome(path)
