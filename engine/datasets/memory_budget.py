"""Decide by the free memory whether images stay in it, and how many batches are made ahead."""

import shutil

import psutil

from engine.runtime import distributed
from engine.runtime.log import LOGGER

AUTO_SHARE, AUTO_BYTES = 0.25, 4 << 30  # of free memory, and in all, that images may take unasked
FORCED_SHARE = 0.8  # with --cache ram, and of shared memory
SHARED = "/dev/shm"  # through which Linux's processes hand tensors on; a container has 64 MB of it unless asked for more


def free_memory() -> int:
    """Return the bytes that are free for this process: its part where several on this machine train together."""
    return int(psutil.virtual_memory().available) // distributed.process_rank().local_world


def shared_memory() -> int | None:
    """Return the bytes of batches that loader processes may hand over at a time; None where nothing limits them."""
    try:
        free = shutil.disk_usage(SHARED).free
    except OSError:  # not Linux
        return None
    return int(FORCED_SHARE * free) // distributed.process_rank().local_world


def keeps_images(mode: str, needed: int, prefix: str = "") -> bool:
    """Tell whether images stay in memory, and log it where that is decided here.

    Args:
        mode: of --cache: "auto", "ram" or "off".
        needed: bytes of all images at training size.
        prefix: of the log's lines.
    """
    free = free_memory()
    allowed = {"off": 0, "auto": min(AUTO_SHARE * free, AUTO_BYTES), "ram": FORCED_SHARE * free}[mode]
    if mode == "off":
        return False
    if needed > allowed:
        sizes = f"{_gib(needed)} GiB needed, {_gib(free)} GiB free, {_gib(allowed)} GiB allowed"
        if mode == "ram":
            LOGGER.warning(f"{prefix}--cache ram: images stay on disk ({sizes})")
        else:
            LOGGER.info(f"{prefix}images stay on disk ({sizes}); --cache ram allows {FORCED_SHARE:.0%} of what is free")
        return False
    LOGGER.info(f"{prefix}images stay in memory ({_gib(needed)} of {_gib(allowed)} GiB allowed)")
    return True


def _gib(count: float) -> str:
    """Return bytes as GiB, with digits enough to be told from none."""
    return f"{count / 2**30:.1f}" if count >= 2**30 else f"{count / 2**30:.3f}"
