"""The suite runs on a real GPU where there is one; without one, test_pretended.py runs it on a pretended one."""

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch

PRETENDED = "PRETENDED_GPU" in os.environ
collect_ignore = [] if PRETENDED or torch.cuda.is_available() else ["suite"]


class Waits(list):
    """What the host waited for, one text each."""


@contextmanager
def _waits_of_pretended() -> Iterator[Waits]:
    import counts

    found = Waits()
    before = counts.waits.copy()
    yield found
    found += [f"{kind} at {place}" for kind, place in (counts.waits - before).elements()]


@contextmanager
def _waits_of_real() -> Iterator[Waits]:
    found = Waits()
    torch.cuda.synchronize()
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield found
        finally:
            torch.cuda.set_sync_debug_mode("default")
    found += [str(warning.message) for warning in seen if "synchroniz" in str(warning.message)]


@pytest.fixture
def waits() -> Callable[[], object]:
    """Return a context manager: whose value lists, after the block, what made the host wait for the GPU."""
    return _waits_of_pretended if PRETENDED else _waits_of_real


@pytest.fixture
def gpu() -> Iterator[torch.device]:
    """The GPU, computing in full float32 as CPUs do."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    yield torch.device("cuda", 0)
    torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before
