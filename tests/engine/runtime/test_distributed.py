"""Who this process is among several, and losses that count the positives of all."""

import numpy as np
import pytest
import torch

from engine.datasets.loader import EpochSampler, make_loader
from engine.errors import UsageError
from engine.runtime import distributed
from engine.runtime.distributed import ProcessRank
from models import build_model


def test_torchrun_says_who_this_process_is(monkeypatch):
    assert distributed.process_rank() == ProcessRank(0, 1, 0, 1)
    for name, value in {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4"}.items():
        monkeypatch.setenv(name, value)
    assert distributed.process_rank() == ProcessRank(5, 8, 1, 4)


def test_a_single_process_of_torchrun_is_an_ordinary_one(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "1")
    monkeypatch.setenv("LOCAL_RANK", "0")
    assert distributed.process_rank() == ProcessRank()


@pytest.mark.parametrize(
    ("device", "local_rank", "gpus", "expected"),
    [
        ("", 1, 4, "1"),
        ("", 1, 0, "cpu"),
        ("cpu", 1, 4, "cpu"),
        ("CPU", 0, 0, "cpu"),
        ("cuda", 1, 2, "1"),
        ("2,3", 1, 4, "3"),
        ("cuda:2, cuda:3", 0, 4, "2"),
    ],
)
def test_each_process_has_a_device_of_its_own(monkeypatch, device, local_rank, gpus, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    assert distributed.own_device(device, ProcessRank(local_rank, 2, local_rank, 2)) == expected


def test_more_processes_than_gpus_are_refused():
    with pytest.raises(UsageError, match="--nproc-per-node 1, or --device cpu"):
        distributed.own_device("0", ProcessRank(0, 2, 0, 2))


def test_a_single_process_agrees_with_itself():
    values = {"box_loss": torch.tensor(2.0)}
    assert distributed.from_first(lambda: 3) == 3
    assert distributed.from_all(4) == [4]
    assert distributed.averaged(values) is values
    assert [distributed.any_of(flag, torch.device("cpu")) for flag in (True, False)] == [True, False]
    with distributed.joined(ProcessRank(), ""), distributed.in_turn(ProcessRank()):
        assert not torch.distributed.is_initialized()
    assert distributed.remembered_folder() is None


@pytest.mark.parametrize(("cfg", "hyp"), [("yolov5n", {"cls_pw": 2.0, "fl_gamma": 1.5}), ("yolov7-tiny", {})])
def test_losses_of_uneven_parts_have_the_mean_of_the_whole(cfg, hyp):
    detector = build_model(cfg, nc=3, hyp=hyp)
    detector.criterion = detector.init_criterion()
    rng = np.random.default_rng(0)
    image = np.array([0] * 9 + [1])  # the third and fourth images have no objects at all
    boxes = np.column_stack((rng.uniform(0.2, 0.8, (10, 2)), rng.uniform(0.1, 0.4, (10, 2))))
    rows = np.column_stack((image, rng.integers(0, 3, 10), boxes))
    raw = [torch.randn(4, 3, cells, cells, 8) for cells in (8, 4, 2)]

    def loss(first, last):
        own = torch.from_numpy(rows[(image >= first) & (image < last)]).float()
        batch = {"batch_idx": own[:, 0] - first, "cls": own[:, 1:2], "bboxes": own[:, 2:]}
        return detector.criterion([p[first:last] for p in raw], batch)[0]

    whole = loss(0, 4)
    counts = []

    def count(own):
        counts.append(own)
        return torch.ones_like(own)

    parts = ((0, 1), (1, 2), (2, 3), (3, 4))
    detector.criterion.shares = count
    for part in parts:
        loss(*part)
    total = torch.stack(counts).sum(0)
    found = 0
    for part, own in zip(parts, counts, strict=True):
        detector.criterion.shares = lambda _, own=own: own * len(parts) / total.clamp(min=1)
        found += loss(*part)
    assert float(found) == pytest.approx(float(whole), rel=1e-5)


@pytest.mark.parametrize("shuffle", [True, False])
def test_more_processes_than_images_all_have_one(shuffle):
    parts = [list(EpochSampler(3, 0, shuffle, 9, rank, 8)) for rank in range(8)]
    assert [len(part) for part in parts] == [1] * 8
    assert {draw.image for part in parts for draw in part} == {0, 1, 2}


def test_whole_validation_batches_are_dealt_out():
    class Numbers(torch.utils.data.Dataset):
        def __len__(self):
            return 10

        def __getitem__(self, index):
            return index

        collate_fn = staticmethod(list)

    parts = [list(make_loader(Numbers(), 4, 0, None, torch.device("cpu"), rank, 2)) for rank in range(2)]
    assert parts == [[[0, 1, 2, 3], [8, 9]], [[4, 5, 6, 7]]]


@pytest.mark.parametrize(
    ("on_cpu", "nccl", "library"), [(True, True, "gloo"), (False, True, "nccl"), (False, False, "gloo")]
)
def test_gpus_without_nccl_are_joined_by_gloo(on_cpu, nccl, library, monkeypatch):
    monkeypatch.setattr(distributed.dist, "is_nccl_available", lambda: nccl)
    assert distributed._collectives(on_cpu) == library
