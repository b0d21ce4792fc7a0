"""A GPU that this PyTorch cannot use is named in one line with what to install; the GPUs and builds are made up."""

import subprocess
import sys
import warnings
from types import SimpleNamespace

import pytest

from engine.errors import UsageError
from engine.runtime import gpu_advice, gpu_probe
from engine.runtime.gpu_advice import installation, unusable_gpu, without_unusable_gpu
from engine.runtime.gpu_probe import Build, DriverSilent, Gpu, amd_gpu, installed_build, nvidia_gpus, runs_on

GTX1080, V100, T4 = Gpu("GTX 1080", (6, 1)), Gpu("V100", (7, 0)), Gpu("T4", (7, 5))
H200, RTX5090, K80 = Gpu("H200", (9, 0)), Gpu("RTX 5090", (12, 0)), Gpu("K80", (3, 7))
# The lists of the wheels on PyPI: 2.15.0, and 2.6.0.
NEW = ["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120"]
OLD = ["sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90"]
CU132, CU124 = Build("2.15.0+cu132", (13, 2), False), Build("2.6.0+cu124", (12, 4), False)
CPU, ROCM = Build("2.15.0+cpu", None, False), Build("2.11.0+rocm7.1", None, True)


@pytest.fixture
def machine(monkeypatch):
    """Pretend GPUs, driver, build and kernels; returns the function that does."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def pretend(gpus, driver=(13, 0), build=CU132, held=NEW, amd=False):
        def ask():
            if isinstance(driver, DriverSilent):
                raise driver
            return list(gpus), driver

        monkeypatch.setattr(gpu_advice, "nvidia_gpus", ask)
        monkeypatch.setattr(gpu_advice, "amd_gpu", lambda: amd)
        monkeypatch.setattr(gpu_advice, "installed_build", lambda: build)
        monkeypatch.setattr(gpu_advice, "kernels", lambda: held)

    return pretend


@pytest.mark.parametrize(
    ("gpus", "driver", "build", "held", "why", "install"),
    [
        ([T4], (12, 8), CPU, [], "is built without CUDA", r" -c requirements\.txt --index-url \S+/cu126$"),
        ([H200], (13, 0), CPU, [], "is built without CUDA", r"/cu130$"),
        ([H200], (13, 0), ROCM, [], "is built for ROCm", r"/cu130$"),
        (
            [T4],
            (12, 4),
            CU132,
            NEW,
            r"runs CUDA up to 12\.4, .* needs 13\.2; update the driver, or install",
            r"/cu126$",
        ),
        ([T4], (11, 4), CU124, OLD, r"runs CUDA up to 11\.4", r"/cu118$"),
        ([GTX1080], (13, 0), CU132, NEW, r"nothing for its compute capability 6\.1", r"/cu126$"),
        ([V100], (13, 0), CU132, NEW, r"nothing for its compute capability 7\.0", r"/cu126$"),
        ([RTX5090], (12, 8), CU124, OLD, r"nothing for its compute capability 12\.0", r"/cu128$"),
        ([RTX5090], (13, 0), CU124, OLD, r"nothing for its compute capability 12\.0", r"/cu130$"),
        ([K80], (11, 4), CU124, OLD, "runs CUDA up to 11.4", "no release of PyTorch that this project runs on"),
    ],
)
def test_why_and_what_to_install(machine, gpus, driver, build, held, why, install):
    machine(gpus, driver, build, held)
    line = unusable_gpu()
    assert line.startswith(f"{gpus[0].name} is not used: ")
    assert "\n" not in line
    assert gpu_advice.re.search(why, line), line
    assert gpu_advice.re.search(install, line), line


@pytest.mark.parametrize(
    ("gpus", "driver", "build", "held"),
    [
        ([H200], (13, 0), CU132, NEW),
        ([H200], (12, 0), CU124, OLD),  # a driver older than the build, of the same major release
        ([GTX1080], (12, 4), CU124, OLD),  # 6.1 runs what was made for 6.0
        ([GTX1080, T4], (13, 0), CU132, NEW),  # one of them does
        ([H200], (13, 0), CU132, []),  # PyTorch does not say
        ([], (0, 0), CPU, []),
        ([H200], (13, 0), None, []),  # no PyTorch to judge
    ],
)
def test_nothing_is_said_where_nothing_is_wrong(machine, gpus, driver, build, held):
    machine(gpus, driver, build, held)
    assert unusable_gpu() == ""


def test_amd(machine):
    machine([], amd=True)
    assert (
        unusable_gpu()
        == "the AMD GPU is not used: PyTorch 2.15.0+cu132 is not built for ROCm; see docs/install.md, AMD"
    )
    machine([], build=ROCM, amd=True)
    assert unusable_gpu() == ""


def test_without_a_wish_the_line_is_said_once_and_the_cpu_is_taken(machine, caplog, monkeypatch):
    said = []
    monkeypatch.setattr(gpu_advice.LOGGER, "warning", said.append)
    machine([GTX1080])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert without_unusable_gpu("") == "cpu"
        # What PyTorch 2.15 and 2.6 would add.
        warnings.warn("Found GPU0 GTX 1080 which is of compute capability (CC) 6.1.", UserWarning, stacklevel=1)
        warnings.warn("\n    Found GPU0 GTX 1080 which is of cuda capability 6.1.", UserWarning, stacklevel=1)
        warnings.warn("CUDA initialization: The NVIDIA driver on your system is too old", UserWarning, stacklevel=1)
        with pytest.raises(UserWarning):
            warnings.warn("something else", UserWarning, stacklevel=1)
    assert len(said) == 1
    assert said[0].startswith("GTX 1080 is not used")


@pytest.mark.parametrize("device", ["0", "cuda", "cuda:1", "0,1"])
def test_a_gpu_asked_for_is_refused_with_the_reason(machine, device):
    machine([GTX1080])
    with pytest.raises(UsageError, match=rf"--device {device}: GTX 1080 is not used: .*; or use --device cpu"):
        without_unusable_gpu(device)


@pytest.mark.parametrize("device", ["cpu", "CPU", "mps", "xpu:0"])
def test_other_devices_ask_nothing(machine, monkeypatch, device):
    monkeypatch.setattr(gpu_advice, "unusable_gpu", lambda: pytest.fail("asked"))
    assert without_unusable_gpu(device) == device


@pytest.mark.parametrize("hidden", ["", "-1"])
def test_hidden_gpus_are_meant(machine, monkeypatch, hidden):
    machine([GTX1080])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    assert without_unusable_gpu("") == ""


@pytest.mark.parametrize(
    ("held", "capability", "fits"),
    [
        (["sm_86"], (8, 6), True),
        (["sm_80"], (8, 9), True),
        (["sm_86"], (8, 0), False),
        (["sm_80"], (9, 0), False),
        (["sm_90a"], (9, 0), True),
        (["sm_100a"], (10, 3), False),
        (["sm_100f"], (10, 3), True),
        (["compute_80"], (12, 0), True),
        (["compute_90"], (8, 9), False),
        (["sm_120"], (12, 1), True),
        (["gfx90a"], (9, 0), False),
    ],
)
def test_which_machine_code_runs_where(held, capability, fits):
    assert runs_on(held, capability) is fits


@pytest.mark.parametrize("page", ["install.md", "install.zh.md"])
def test_what_is_to_be_installed_stands_in_the_documentation(root, page):
    text = (root / "docs" / page).read_text(encoding="utf-8")
    lines = {installation(gpu, driver) for gpu in (GTX1080, V100, T4, H200, RTX5090) for driver in ((12, 4), (13, 0))}
    lines.add(installation(T4, (11, 4)))
    assert len(lines) == 4  # cu118, cu126, cu128, cu130
    for line in lines:
        assert f"`{line.removeprefix('install: ').replace('--force-reinstall ', '')}`" in text


def test_the_build_is_read_without_importing(tmp_path, monkeypatch):
    (tmp_path / "version.py").write_text(
        "from typing import Optional\n__all__ = ['cuda']\n__version__ = '2.6.0+cu124'\ndebug = False\n"
        "cuda: Optional[str] = '12.4'\nhip: Optional[str] = None\n"
    )
    monkeypatch.setattr(gpu_probe.importlib.util, "find_spec", lambda name: SimpleNamespace(origin=tmp_path / "x.py"))
    assert installed_build() == CU124
    (tmp_path / "version.py").write_text("__version__ = '2.11.0+rocm7.1'\ncuda = None\nhip = '7.1.25424'\n")
    assert installed_build() == ROCM
    (tmp_path / "version.py").write_text("raise SystemExit(")
    assert installed_build() is None


def test_this_machines_build_is_what_torch_says():
    import torch

    build = installed_build()
    assert build.version == torch.__version__
    assert (build.cuda is None) == (torch.version.cuda is None)


class FakeNvml:
    """pynvml with a GTX 1080 whose driver runs CUDA 12.4."""

    class NVMLError(Exception):
        pass

    class NVMLError_LibraryNotFound(NVMLError):
        pass

    def __init__(self, error=None):
        self.error, self.open = error, False

    def nvmlInit(self):
        if self.error:
            raise self.error
        self.open = True

    def nvmlShutdown(self):
        self.open = False

    nvmlSystemGetCudaDriverVersion_v2 = staticmethod(lambda: 12040)
    nvmlDeviceGetCount = staticmethod(lambda: 1)
    nvmlDeviceGetHandleByIndex = staticmethod(lambda index: index)
    nvmlDeviceGetName = staticmethod(lambda handle: b"GTX 1080")
    nvmlDeviceGetCudaComputeCapability = staticmethod(lambda handle: (6, 1))


@pytest.fixture
def driver(tmp_path, monkeypatch):
    """Pretend a kernel driver and a pynvml that answers, or raises."""
    trace = tmp_path / "version"
    trace.write_text("NVRM version")
    monkeypatch.setattr(gpu_probe, "KERNEL_DRIVER", trace)
    monkeypatch.setattr(gpu_probe, "DRIVER_TRACES", (trace,))

    def pretend(error=None):
        nvml = FakeNvml(error)
        monkeypatch.setitem(sys.modules, "pynvml", nvml)
        return nvml

    return pretend


def test_the_driver_is_asked_and_closed(driver):
    nvml = driver()
    assert nvidia_gpus() == ([GTX1080], (12, 4))
    assert not nvml.open


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (FakeNvml.NVMLError("Driver/library version mismatch"), "does not answer .*mismatch.*; restart the machine"),
        (FakeNvml.NVMLError_LibraryNotFound("NVML Shared Library Not Found"), "start a container with --gpus all"),
    ],
)
def test_a_driver_that_does_not_answer(driver, error, text):
    driver(error)
    with pytest.raises(DriverSilent, match=text):
        nvidia_gpus()
    assert unusable_gpu().startswith("the NVIDIA GPU is not used: ")
    gpu_probe.KERNEL_DRIVER.unlink()
    assert nvidia_gpus() == ([], (0, 0))


@pytest.mark.parametrize(("cores", "simd", "there"), [(0, 160, True), (8, 0, False), (16, 8, False)])
def test_amd_gpus_of_their_own_count(tmp_path, monkeypatch, cores, simd, there):
    """The nodes of a processor and of a processor with graphics do not."""
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "properties").write_text(f"cpu_cores_count {cores}\nsimd_count {simd}\nname\n")
    monkeypatch.setattr(gpu_probe, "AMD_NODES", tmp_path)
    assert amd_gpu() is there


def test_without_a_gpu_neither_torch_nor_the_drivers_library_is_imported():
    code = (
        "import sys; from engine.runtime import gpu_advice, gpu_probe; from pathlib import Path\n"
        "gpu_probe.DRIVER_TRACES, gpu_probe.AMD_NODES = (), Path('/nowhere')\n"
        "assert gpu_advice.without_unusable_gpu('') == ''\n"
        "assert not {'torch', 'pynvml', 'ultralytics'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
