"""Several processes: equal states, the gradients of one, quick ends, and restarts by themselves."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).with_name("watched_train.py")
EPOCHS = 4


def flags(data, folder, **more):
    fixed = {"data": data, "cfg": "yolov5n", "weights": "", "imgsz": 64, "batch-size": 8, "epochs": EPOCHS}
    fixed |= {"device": "cpu", "amp": "off", "project": folder, "attention": "CBAM@neck.P3", **more}
    return [*(f"--{name}={value}" for name, value in fixed.items()), "--noplots", "--noautoanchor"]


def start(argv, watch="checksums", launcher=("--standalone", "--nproc-per-node=2")):
    """Start torchrun in a session of its own; its output and its workers' come as lines."""
    return subprocess.Popen(
        [sys.executable, "-m", "torch.distributed.run", *launcher, str(SCRIPT), *argv],
        env=os.environ | {"OMP_NUM_THREADS": "1", "WATCH": watch},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def read(process, until=None, seen=None):
    """Read lines to the end, or to the first one that starts with `until`; return those that tell checksums."""
    seen = [] if seen is None else seen
    for line in process.stdout:
        if line.startswith("CHECKSUM"):
            _, epoch, rank, pid, value = line.split()
            seen.append((int(epoch), int(rank), int(pid), value))
        if until and line.startswith(until):
            return seen
    process.stdout.close()
    return seen


def by_epoch(seen):
    return {epoch: {rank: value for e, rank, _, value in seen if e == epoch} for epoch, *_ in seen}


def tensors(path):
    content = torch.load(path, weights_only=True)
    return {**content["weights"], **{f"live {key}": value for key, value in content["training"]["live"].items()}}


@pytest.fixture(scope="module")
def whole(digits, tmp_path_factory):
    """An undisturbed run of two processes: its folder and checksums."""
    folder = tmp_path_factory.mktemp("whole")
    process = start(flags(digits, folder))
    seen = read(process)
    assert process.wait() == 0
    return folder / "exp", by_epoch(seen)


def test_processes_have_equal_states_and_leave_one_run(whole):
    folder, checksums = whole
    assert sorted(checksums) == list(range(EPOCHS))
    for values in checksums.values():
        assert set(values) == {0, 1}
        assert len(set(values.values())) == 1
    assert len({values[0] for values in checksums.values()}) == EPOCHS
    assert [path.name for path in folder.parent.iterdir()] == ["exp"]
    rows = (folder / "results.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["epoch", *(str(number + 1) for number in range(EPOCHS))]


def test_a_killed_process_is_replaced_and_the_run_goes_on_as_if_nothing_had_happened(digits, whole, tmp_path):
    launcher = ("--standalone", "--nproc-per-node=2", "--max-restarts=1")
    process = start(flags(digits, tmp_path), launcher=launcher)
    seen = read(process, until="CHECKSUM 2 1")
    os.kill(next(pid for _, rank, pid, _ in seen if rank == 1), signal.SIGKILL)
    read(process, seen=seen)
    assert process.wait() == 0
    assert [path.name for path in tmp_path.iterdir()] == ["exp"]
    assert by_epoch(seen) == whole[1]
    expected, found = (tensors(folder / "weights" / "last.pt") for folder in (whole[0], tmp_path / "exp"))
    assert [name for name in expected if not torch.equal(expected[name], found[name])] == []


def test_two_machines_agree_and_a_process_killed_on_one_ends_both_within_a_minute(digits, whole, tmp_path):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    launcher = ("--nnodes=2", "--nproc-per-node=1", "--rdzv-backend=c10d", f"--rdzv-endpoint=localhost:{port}")
    machines = [start(flags(digits, tmp_path, epochs=500), launcher=launcher) for _ in range(2)]
    try:
        seen = [entry for machine in machines for entry in read(machine, until="CHECKSUM 2")]
        checksums = by_epoch(seen)
        for epoch in range(3):
            assert set(checksums[epoch]) == {0, 1}
            assert len(set(checksums[epoch].values())) == 1
        os.kill(seen[0][2], signal.SIGKILL)
        begin = time.monotonic()
        for machine in machines:
            read(machine)
            assert machine.wait(timeout=60) != 0
        assert time.monotonic() - begin < 60
    finally:
        for machine in machines:
            if machine.poll() is None:
                os.killpg(machine.pid, signal.SIGKILL)


@pytest.mark.parametrize("cfg", ["yolov5n", "yolov7-tiny"])
def test_two_processes_have_the_gradients_of_one_with_the_same_images(digits, tmp_path, cfg):
    found = []
    for number in (1, 2):
        argv = flags(digits, tmp_path, **{"cfg": cfg, "batch-size": 16})
        process = start(argv, f"gradients {tmp_path / str(number)}", ("--standalone", f"--nproc-per-node={number}"))
        assert process.communicate()[0] is not None
        found.append(torch.load(tmp_path / str(number), weights_only=True))
    one, two = (content["gradients"] for content in found)
    assert one.keys() == two.keys()
    differences = {name: (one[name] - two[name]).norm() for name in one}
    norms = {name: value.norm() for name, value in one.items()}
    assert torch.stack([*differences.values()]).norm() < 1e-5 * torch.stack([*norms.values()]).norm()
    # A tensor of its own may be a sum of which most cancels out, in another order.
    apart = {name: float(differences[name] / norms[name].clamp(min=1e-12)) for name in one}
    assert max(apart.values()) < 1e-4, max(apart, key=apart.get)
