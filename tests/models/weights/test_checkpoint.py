"""Our checkpoint: what goes in comes out, anywhere; what does not belong is named; a failed write costs nothing."""

import collections
import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from models.errors import CheckpointError
from models.weights.atomic_write import write_atomically
from models.weights.checkpoint import FORMAT, describe, is_ours, read_checkpoint, save_checkpoint
from tests.models.weights.fake import save_original


def same(one: Any, two: Any) -> bool:
    """Equal in types, values and tensors."""
    if isinstance(one, torch.Tensor):
        return isinstance(two, torch.Tensor) and one.dtype == two.dtype and torch.equal(one, two)
    if isinstance(one, dict):
        return type(two) is dict and list(one) == list(two) and all(same(one[key], two[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return type(one) is type(two) and len(one) == len(two) and all(map(same, one, two))
    return type(one) is type(two) and one == two


def test_round_trip(tmp_path: Path, ours: dict[str, Any]) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(path, ours)
    assert same(read_checkpoint(path), {"format": FORMAT, **ours})
    assert is_ours(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["last.pt"]


def test_round_trip_as_safetensors(tmp_path: Path, ours: dict[str, Any]) -> None:
    path = tmp_path / "best.safetensors"
    save_checkpoint(path, ours)
    expected = {"format": FORMAT, **ours}
    del expected["training"]
    found = read_checkpoint(path)
    weights = found.pop("weights")  # the format sorts them
    assert same({key: weights[key] for key in ours["weights"]}, ours["weights"])
    assert len(weights) == len(ours["weights"])
    assert found == {key: value for key, value in expected.items() if key != "weights"}
    assert is_ours(path)


def test_opens_with_torch_alone(tmp_path: Path, ours: dict[str, Any]) -> None:
    """In a process that cannot import this project, by torch.load with weights_only."""
    save_checkpoint(tmp_path / "last.pt", ours)
    script = (
        "import sys, torch; sys.path[:] = [p for p in sys.path if p]\n"
        "content = torch.load('last.pt', weights_only=True)\n"
        "assert 'models' not in sys.modules\n"
        "print(content['format'], content['names'], content['weights']['model.4+CBAM.gamma'].dtype, "
        "content['training']['epoch'])"
    )
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == f"{FORMAT} {{0: 'ring', 1: '盒子'}} torch.float16 4"


def test_torch_load_reads_the_same(tmp_path: Path, ours: dict[str, Any]) -> None:
    save_checkpoint(tmp_path / "a.pt", ours)
    assert same(torch.load(tmp_path / "a.pt", weights_only=True), read_checkpoint(tmp_path / "a.pt"))


def test_other_types_become_plain(tmp_path: Path, ours: dict[str, Any]) -> None:
    layer = nn.Linear(3, 3)
    whole = torch.zeros(1000, 1000)
    ours["weights"] = collections.OrderedDict(weight=layer.weight, view=whole[0, :3], part=whole[:2].t())
    ours["provenance"] = {
        "number": np.float32(0.5),
        "count": np.int64(3),
        "flag": np.bool_(True),
        "path": Path("runs/train"),
        "shape": torch.Size([1, 2]),
        "nothing": None,
        "bytes": b"ab",
        "pair": (1, 2.5),
    }
    save_checkpoint(tmp_path / "a.pt", ours)
    found = read_checkpoint(tmp_path / "a.pt")
    assert type(found["weights"]["weight"]) is torch.Tensor
    assert torch.equal(found["weights"]["weight"], layer.weight.detach())
    assert found["provenance"] == {
        "number": 0.5, "count": 3, "flag": True, "path": "runs/train", "shape": (1, 2), "nothing": None, "bytes": b"ab",
        "pair": (1, 2.5),
    }  # fmt: skip
    assert {type(value) for value in found["provenance"].values()} == {float, int, bool, str, tuple, type(None), bytes}
    assert (tmp_path / "a.pt").stat().st_size < 50_000  # not the whole that the views belong to


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("training", {"args": {"fn": print}}, r"training: args: fn: a builtins\.builtin_function_or_method cannot"),
        ("training", {"results": [1, {2, 3}]}, r"training: results\[1\]: a builtins\.set cannot be stored"),
        ("training", {(1, 2): 3}, r"training: key \(1, 2\) is a tuple; use a text or an integer"),
        ("training", {"x": np.zeros(3)}, r"training: x: a numpy\.ndarray cannot be stored; convert"),
        ("weights", {"a": torch.zeros(3, dtype=torch.complex64)}, r"weights: a: a tensor of type torch\.complex64"),
        ("weights", {"a": torch.eye(3).to_sparse()}, r"weights: a: a tensor of type torch\.float32 torch\.sparse_coo"),
        ("weights", {"a": [1.0]}, "'weights' must map names to tensors; 'a' is a list"),
        ("weights", None, "'weights' is missing; expected a dict"),
        ("spec", "yolov5n", "'spec' is a str; expected a dict"),
        ("names", {1: "a"}, "'names' must map 0, 1, … to texts"),
        ("names", {0: 5}, "'names' must map 0, 1, … to texts"),
        ("names", ["a"], "'names' is a list; expected a dict"),
        ("stride", [], "'stride' must be 1 to 8 numbers of pixels; found 0 values"),
        ("stride", [8, float("nan")], "'stride' must be 1 to 8 numbers"),
        ("format", "yolo-attention/2", "written in format 'yolo-attention/2', this version reads yolo-attention/1"),
        ("provenance", [1], "'provenance' is a list; expected a dict"),
    ],
)
def test_what_does_not_belong_is_named(
    tmp_path: Path, ours: dict[str, Any], key: str, value: Any, message: str
) -> None:
    path = tmp_path / "a.pt"
    with pytest.raises(CheckpointError, match=message) as caught:
        save_checkpoint(path, ours | {key: value})
    assert str(caught.value).startswith(str(path))
    assert not path.exists()


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (
            "format",
            "yolo-attention/2",
            "written in format 'yolo-attention/2', this version reads .*; update this program",
        ),
        ("format", "yolo-attention/x", "its format is 'yolo-attention/x', not one of this project"),
        ("format", "other/1", "its format is 'other/1', not one of this project"),
        ("format", [[1]], "its format is a list, not one"),
        ("names", {0: "a", 2: "b"}, "'names' must map"),
        ("stride", [1e9], "'stride' must be"),
        ("weights", {3: torch.zeros(2)}, "'weights' must map names to tensors"),
        ("spec", None, "'spec' is missing"),
        ("hyp", {"s": {1, 2}}, "holds a set, which checkpoints of this project never do"),
        ("hyp", {(1, 2): 1}, "holds a tuple as key"),
    ],
)
def test_reading_checks_too(tmp_path: Path, ours: dict[str, Any], key: str, value: Any, message: str) -> None:
    """Files that another program wrote."""
    path = tmp_path / "a.pt"
    torch.save({"format": FORMAT, **ours, key: value}, path)
    with pytest.raises(CheckpointError, match=rf"a\.pt: .*{message}"):
        read_checkpoint(path)


def test_newer_minor_formats_are_read(tmp_path: Path, ours: dict[str, Any]) -> None:
    torch.save({**ours, "format": "yolo-attention/1.7", "later": {"x": 1}}, tmp_path / "a.pt")
    found = read_checkpoint(tmp_path / "a.pt")
    assert found["later"] == {"x": 1}
    assert is_ours(tmp_path / "a.pt")


def test_without_training_and_provenance(tmp_path: Path, ours: dict[str, Any]) -> None:
    """What files may leave out: published ones have no training state."""
    content = {key: ours[key] for key in ("spec", "names", "stride", "weights", "hyp")}
    save_checkpoint(tmp_path / "a.pt", content)
    found = read_checkpoint(tmp_path / "a.pt")
    assert "training" not in found
    assert found["provenance"] == {}


def test_others_are_not_ours(tmp_path: Path, ours: dict[str, Any]) -> None:
    save_original(tmp_path / "a.pt")
    assert not is_ours(tmp_path / "a.pt")
    assert not is_ours(tmp_path / "missing.pt")
    assert not is_ours(tmp_path)
    torch.save({"weights": {}}, tmp_path / "b.pt")
    assert not is_ours(tmp_path / "b.pt")
    with pytest.raises(CheckpointError, match=r"b\.pt: not a checkpoint of this project \(no 'format'\)"):
        read_checkpoint(tmp_path / "b.pt")
    from safetensors.torch import save_file

    save_file({"w": torch.ones(2)}, tmp_path / "c.safetensors")
    assert not is_ours(tmp_path / "c.safetensors")
    with pytest.raises(CheckpointError, match="safetensors without the table"):
        read_checkpoint(tmp_path / "c.safetensors")
    save_file({"w": torch.ones(2)}, tmp_path / "d.safetensors", {"yolo-attention": "[" * 100_000})
    with pytest.raises(CheckpointError, match="the table 'yolo-attention' is damaged"):
        read_checkpoint(tmp_path / "d.safetensors")


def test_describe(tmp_path: Path, ours: dict[str, Any]) -> None:
    path = tmp_path / "a.pt"
    save_checkpoint(path, ours)
    found = describe(path)
    json.dumps(found)
    assert (found["classes"], found["tensors"], found["numbers"]) == (2, 3, 8 * 3 * 9 + 2)
    assert found["dtypes"] == ["float16", "float32", "int64"]
    assert (found["resumable"], found["epoch"], found["stride"]) == (True, 4, [8.0, 16.0, 32.0])
    assert found["bytes"] == path.stat().st_size


@pytest.mark.parametrize("name", ["a.pt", "a.safetensors"])
def test_disk_full_keeps_the_old_file(tmp_path: Path, ours: dict[str, Any], name: str) -> None:
    """A limit on file sizes stands for a full disk: the write fails in the middle."""
    path = tmp_path / name
    save_checkpoint(path, ours)
    before = path.read_bytes()
    ours["weights"]["large"] = torch.zeros(1 << 20)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, limits[1]))
    try:
        with pytest.raises(
            CheckpointError, match=rf"{name}: cannot be written \(File too large\).*previous file is kept"
        ):
            save_checkpoint(path, ours)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == [name]
    save_checkpoint(path, ours)
    assert "large" in read_checkpoint(path)["weights"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_no_space_left(tmp_path: Path) -> None:
    """The message of the system and what to do, from a device that is always full."""

    def write(stream: Any) -> None:
        with open("/dev/full", "wb", buffering=0) as full:  # noqa: PTH123
            full.write(b"x")

    (tmp_path / "a").write_text("old")
    with pytest.raises(CheckpointError, match=r"No space left on device.*free some space on that disk; the previous"):
        write_atomically(tmp_path / "a", write)
    assert (tmp_path / "a").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_folders_that_are_gone_or_closed(tmp_path: Path, ours: dict[str, Any]) -> None:
    with pytest.raises(
        CheckpointError, match=r"cannot be written \(No such file or directory\); its folder does not exist"
    ):
        save_checkpoint(tmp_path / "gone" / "a.pt", ours)
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match=r"cannot be written \(Not a directory\)"):
        save_checkpoint(tmp_path / "file" / "a.pt", ours)
    (tmp_path / "b.pt").mkdir()
    with pytest.raises(CheckpointError, match=r"cannot be written \(Is a directory\)"):
        save_checkpoint(tmp_path / "b.pt", ours)


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_read_only_folder(tmp_path: Path, ours: dict[str, Any]) -> None:
    path = tmp_path / "a.pt"
    save_checkpoint(path, ours)
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(CheckpointError, match=r"cannot be written \(Permission denied\); choose a folder"):
            save_checkpoint(path, ours)
        assert is_ours(path)
    finally:
        tmp_path.chmod(0o700)


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path, ours: dict[str, Any]) -> None:
    path = tmp_path / "a.pt"
    save_checkpoint(path, ours)
    before = path.read_bytes()

    def interrupted(stream: Any) -> None:
        stream.write(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, interrupted)
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_order_of_the_system_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The content is on the disk before the name is, and the name before the call returns."""
    events: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def watched_fsync(handle: int) -> None:
        name = str(Path(f"/proc/self/fd/{handle}").readlink()) if Path("/proc/self/fd").exists() else "?"
        events.append(f"fsync {Path(name).name} {Path(name).stat().st_size if Path(name).is_file() else ''}".strip())
        fsync(handle)

    def watched_replace(self: Path, target: Path) -> Path:
        events.append(f"rename {self.name} {target.name}")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(Path, "replace", watched_replace)
    write_atomically(tmp_path / "a.pt", lambda stream: stream.write(b"12345"))
    if Path("/proc/self/fd").exists():
        assert events == ["fsync .a.pt.tmp 5", "rename .a.pt.tmp a.pt", f"fsync {tmp_path.name}"]


def test_links_stay_links(tmp_path: Path, ours: dict[str, Any]) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "last.pt").symlink_to("store/real.pt")
    save_checkpoint(tmp_path / "last.pt", ours)
    assert (tmp_path / "last.pt").is_symlink()
    assert is_ours(tmp_path / "store" / "real.pt")


@pytest.mark.slow
def test_killed_while_writing(tmp_path: Path, ours: dict[str, Any]) -> None:
    """SIGKILL at arbitrary moments of endless writing: the file can always be read, and nothing piles up."""
    path = tmp_path / "last.pt"
    ours["weights"]["large"] = torch.zeros(1 << 18)
    save_checkpoint(path, ours)
    script = (
        "import sys, itertools\n"
        "from models.weights.checkpoint import read_checkpoint, save_checkpoint\n"
        "content = read_checkpoint(sys.argv[1])\n"
        "print('ready', flush=True)\n"
        "for epoch in itertools.count(5):\n"
        "    content['training']['epoch'] = epoch\n"
        "    save_checkpoint(sys.argv[1], content)\n"
    )
    for pause in (0.02, 0.07):
        with subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(pause)
            process.kill()
        assert read_checkpoint(path)["training"]["epoch"] >= 4
        assert {entry.name for entry in tmp_path.iterdir()} <= {"last.pt", ".last.pt.tmp"}
    save_checkpoint(path, ours)
    assert [entry.name for entry in tmp_path.iterdir()] == ["last.pt"]
