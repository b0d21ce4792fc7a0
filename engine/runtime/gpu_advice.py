"""A GPU that the machine has but this PyTorch cannot use: say why, and what to install, in one line."""

import os
import re
import warnings
from collections.abc import Sequence

from engine.errors import UsageError
from engine.runtime.gpu_probe import (
    Build,
    DriverSilent,
    Gpu,
    Version,
    amd_gpu,
    installed_build,
    kernels,
    nvidia_gpus,
    runs_on,
)
from engine.runtime.log import LOGGER

# The constraint keeps to the releases that the project runs on.
INSTALL = (
    "python -m pip install --force-reinstall torch torchvision -c requirements.txt "
    "--index-url https://download.pytorch.org/whl"
)
# What PyTorch says in several lines, and at the first use only.
TORCH_WARNINGS = (
    r"\s*CUDA initialization",
    r"\s*Found GPU\s?\d",
    r".*is not compatible with the current PyTorch",
    r"\s*Please install PyTorch with a",
)


def without_unusable_gpu(device: str) -> str:
    """Say in one line when the machine's GPU is of no use to this PyTorch, and go on without it.

    Args:
        device: --device.

    Returns:
        The device to work on: as given, or "cpu" where PyTorch would choose a GPU that it cannot compute on.

    Raises:
        UsageError: if that GPU was asked for by its number.
    """
    word = str(device).strip().lower()
    if not re.match(r"cuda|\d|$", word):
        return device
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in ("", "-1"):  # hidden on purpose
        return device
    why = unusable_gpu()
    if not why:
        return device
    if word:
        raise UsageError(f"--device {device}: {why}; or use --device cpu")
    LOGGER.warning(why)
    for text in TORCH_WARNINGS:
        warnings.filterwarnings("ignore", message=text)
    return "cpu"


def unusable_gpu() -> str:
    """Return why the machine's GPU is of no use to this PyTorch, and what to install, in one line.

    Returns:
        Nothing where there is no GPU, where it can be used, or where that cannot be judged.
    """
    try:
        gpus, driver = nvidia_gpus()
    except DriverSilent as silent:
        return str(silent)
    if not gpus and not amd_gpu():
        return ""
    build = installed_build()
    if build is None:
        return ""
    if gpus:
        return _nvidia_advice(gpus, driver, build)
    if not build.rocm:
        return f"the AMD GPU is not used: PyTorch {build.version} is not built for ROCm; see docs/install.md, AMD"
    return ""


def _nvidia_advice(gpus: Sequence[Gpu], driver: Version, build: Build) -> str:
    best = max(gpus, key=lambda gpu: gpu.capability)
    if build.cuda is None:
        kind = "built for ROCm" if build.rocm else "built without CUDA"
        return f"{best.name} is not used: PyTorch {build.version} is {kind}; {installation(best, driver)}"
    if driver[0] < build.cuda[0]:  # within a major release of CUDA an older driver does
        runs, needs = (".".join(map(str, release)) for release in (driver, build.cuda))
        return (
            f"{best.name} is not used: its driver runs CUDA up to {runs}, PyTorch {build.version} needs {needs}; "
            f"update the driver, or {installation(best, driver)}"
        )
    held = kernels()
    if not held or any(runs_on(held, gpu.capability) for gpu in gpus):
        return ""
    return (
        f"{best.name} is not used: PyTorch {build.version} has nothing for its compute capability "
        f"{'.'.join(map(str, best.capability))}; {installation(best, driver)}"
    )


def installation(gpu: Gpu, driver: Version) -> str:
    """Return how to install a PyTorch for a GPU and its driver.

    The indices are those of docs/install.md, which says what their wheels hold.
    """
    if gpu.capability < (5, 0):
        return "no release of PyTorch that this project runs on has code for so old a GPU"
    if driver[0] < 11 or (driver[0] == 11 and gpu.capability > (9, 0)):
        return "install a newer NVIDIA driver first, see docs/install.md"
    if driver[0] == 11:
        index = "cu118"
    elif gpu.capability < (7, 5) or (driver[0] == 12 and gpu.capability < (10, 0)):
        index = "cu126"
    else:
        index = "cu128" if driver[0] == 12 else "cu130"
    return f"install: {INSTALL}/{index}"
