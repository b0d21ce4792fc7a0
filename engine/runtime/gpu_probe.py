"""Which GPUs the machine has and what the installed PyTorch was built for, asked without starting either.

Where there is no GPU this costs a look at a few paths; PyTorch is imported for the list of its kernels alone.
"""

import ast
import importlib.util
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

KERNEL_DRIVER = Path("/proc/driver/nvidia/version")  # while the kernel has the driver; seen inside containers too
# Any of these makes asking the NVIDIA driver worth an import: Linux, Linux within Windows, Windows.
DRIVER_TRACES = (
    KERNEL_DRIVER,
    Path("/dev/dxg"),
    Path(os.environ.get("SystemRoot", "C:/Windows")) / "System32" / "nvml.dll",
)
AMD_NODES = Path("/sys/class/kfd/kfd/topology/nodes")

Version = tuple[int, int]


@dataclass(frozen=True)
class Gpu:
    """An NVIDIA GPU as its driver describes it.

    Attributes:
        name: for people.
        capability: of computation, (6, 1) for a GTX 1080.
    """

    name: str
    capability: Version


@dataclass(frozen=True)
class Build:
    """What the installed PyTorch was built for.

    Attributes:
        version: of PyTorch.
        cuda: release of CUDA, None without.
        rocm: whether it is for AMD's GPUs.
    """

    version: str
    cuda: Version | None
    rocm: bool


class DriverSilent(Exception):
    """The NVIDIA driver is there but does not answer; the text says what to do."""


def installed_build() -> Build | None:
    """Read what PyTorch was built for from its version file, without importing it."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return None
    try:
        tree = ast.parse((Path(spec.origin).parent / "version.py").read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return None
    found = {}
    for node in tree.body:
        if not isinstance(node, ast.Assign | ast.AnnAssign) or not isinstance(node.value, ast.Constant):
            continue
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target
        if isinstance(target, ast.Name):
            found[target.id] = node.value.value
    if "__version__" not in found:
        return None
    cuda = re.match(r"(\d+)\.(\d+)", str(found.get("cuda") or ""))
    release = (int(cuda[1]), int(cuda[2])) if cuda else None
    return Build(str(found["__version__"]), release, bool(found.get("hip") or found.get("rocm")))


def nvidia_gpus() -> tuple[list[Gpu], Version]:
    """Ask the NVIDIA driver for its GPUs, without starting CUDA.

    Returns:
        The GPUs, none without a driver; and the newest CUDA that the driver runs.

    Raises:
        DriverSilent: if there is a driver that does not answer.
    """
    if not any(trace.exists() for trace in DRIVER_TRACES):
        return [], (0, 0)
    import pynvml  # tens of milliseconds

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return _no_answer(error, isinstance(error, pynvml.NVMLError_LibraryNotFound))
    try:
        version = pynvml.nvmlSystemGetCudaDriverVersion_v2()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
        gpus = [Gpu(_text(pynvml.nvmlDeviceGetName(h)), pynvml.nvmlDeviceGetCudaComputeCapability(h)) for h in handles]
    except pynvml.NVMLError:  # as on some embedded boards: nothing can be said
        return [], (0, 0)
    finally:
        pynvml.nvmlShutdown()
    return gpus, (version // 1000, version % 1000 // 10)


def _no_answer(error: Exception, no_library: bool) -> tuple[list[Gpu], Version]:
    if not KERNEL_DRIVER.exists():  # a library without a device, as on Windows' Linux without an NVIDIA GPU
        return [], (0, 0)
    if no_library:
        raise DriverSilent(
            "the NVIDIA GPU is not used: the driver's libraries are missing here; start a container with --gpus all, "
            "or install the driver again"
        )
    raise DriverSilent(
        f"the NVIDIA GPU is not used: its driver does not answer ({error}); restart the machine, or install the driver "
        "again"
    )


def _text(name: str | bytes) -> str:
    return name.decode(errors="replace") if isinstance(name, bytes) else name


def amd_gpu() -> bool:
    """Tell whether Linux's driver for computing on AMD GPUs has one that is not part of the processor."""
    for file in AMD_NODES.glob("*/properties"):
        try:
            facts = dict(line.split(maxsplit=1) for line in file.read_text().splitlines() if " " in line)
        except OSError:
            continue
        if facts.get("simd_count", "0") != "0" and facts.get("cpu_cores_count", "0") == "0":
            return True
    return False


def kernels() -> list[str]:
    """Import PyTorch and return what it has machine code for, without starting CUDA."""
    import torch

    before = os.environ.get("PYTORCH_NVML_BASED_CUDA_CHECK")
    os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "1"
    try:
        return list(torch.cuda.get_arch_list())
    finally:
        if before is None:
            del os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"]
        else:
            os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = before


def runs_on(kernels: Sequence[str], capability: Version) -> bool:
    """Tell whether one of a build's kernels runs on a GPU.

    Args:
        kernels: as torch.cuda.get_arch_list() names them: machine code "sm_86" runs on its major release from its minor
            one on, "sm_90a" on exactly that; "compute_90" is compiled on the spot for it and everything newer.
        capability: of the GPU.
    """
    for kernel in kernels:
        match = re.fullmatch(r"(sm|compute)_(\d+)(\d)([a-z]?)", kernel)
        if match is None:
            continue
        kind, release = match[1], (int(match[2]), int(match[3]))
        if match[4] == "a":
            fits = release == capability
        elif kind == "compute":
            fits = release <= capability
        else:
            fits = release[0] == capability[0] and release[1] <= capability[1]
        if fits:
            return True
    return False
