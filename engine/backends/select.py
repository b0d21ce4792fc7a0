"""Choose the backend (PyTorch, ONNX Runtime, OpenVINO, another) that runs a model, as --backend asks."""

import ctypes
import sys
from argparse import Namespace
from copy import deepcopy
from pathlib import Path
from typing import Any

from engine.backends.base import Backend, installed
from engine.backends.onnx_cache import cached_file, discard, export_onnx, store
from engine.errors import UsageError
from engine.model_loading import load_weights
from engine.runtime.gpu_probe import amd_gpu, installed_build
from engine.runtime.image_size import STRIDE, USUAL, rounded
from engine.runtime.log import LOGGER
from engine.trusted_files import SUFFIXES

FEW_IMAGES = 32  # images for which PyTorch is done before an export is made


def gpu_possible(device: str) -> bool:
    """Tell whether PyTorch might choose a GPU, without importing it: whether there is a driver with a device."""
    name = str(device).strip().lower()
    if name:
        return name != "cpu"
    build = installed_build()
    if build is not None and build.rocm:
        return amd_gpu()
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
        count = ctypes.c_int(0)
        return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0
    except (OSError, AttributeError):
        return False


def exported_size(path: str, asked: int | None) -> int:
    """Return the size for an exported model: what was asked for, else what the file takes or was trained at.

    Args:
        path: of the file or folder.
        asked: --imgsz, or None.
    """
    if asked is not None:
        return rounded(asked, STRIDE)
    backend: Backend | None = None
    if path.endswith(".onnx") and installed("onnxruntime"):
        from engine.backends.onnx import OnnxBackend

        backend = OnnxBackend(path)
    elif path.endswith("_openvino_model"):
        from engine.backends.openvino import OpenVinoBackend

        backend = OpenVinoBackend(path)
    size = max(backend.size) if backend and backend.size else backend.imgsz if backend else USUAL
    LOGGER.info(f"image size: {size} px")
    return rounded(size, backend.stride if backend else STRIDE)


def open_backend(options: Namespace, weights: Any, images: int | None, replicas: int = 1) -> Backend:
    """Open a model in the runtime that --backend asks for, or in the fastest that fits.

    Args:
        options: flags of detect.py.
        weights: path of a checkpoint or exported model, official name, or a Detector.
        images: how many there are to look at; None for videos and streams.
        replicas: calls that will run in parallel, where the runtime can.

    Raises:
        UsageError: if the runtime does not fit the weights, the other flags or the machine.
        CheckpointError: if the weights cannot be read.
    """
    if isinstance(weights, str | Path) and str(weights).rstrip("/").endswith(SUFFIXES):
        return _open_exported(options, str(load_weights(weights, options)), replicas)
    if options.dnn:
        raise UsageError("--dnn is for ONNX files; leave it out, or give --weights MODEL.onnx")
    backend = _open_checkpoint(options, weights, images, replicas)
    LOGGER.info(f"{weights if isinstance(weights, str | Path) else 'model'}: {backend.label}")
    return backend


def _open_exported(options: Namespace, path: str, replicas: int) -> Backend:
    """Open an exported model."""
    for flag in ("augment", "maps"):
        if getattr(options, flag):
            raise UsageError(f"--{flag} looks inside the model: give the checkpoint instead of {path}")
    kind = "onnx" if path.endswith(".onnx") else "openvino" if path.endswith("_openvino_model") else "other"
    wanted = options.backend if options.backend != "auto" else kind
    fits = {"onnx": ("onnx", "openvino"), "openvino": ("openvino",), "other": ("tensorrt",)}
    if wanted != kind and wanted not in fits[kind]:
        raise UsageError(f"--backend {wanted} cannot run {path}; leave it out")
    if wanted == "openvino":
        from engine.backends.openvino import OpenVinoBackend

        return OpenVinoBackend(path, options.half, replicas)
    if kind == "onnx" and not options.dnn and not gpu_possible(options.device):
        from engine.backends.onnx import OnnxBackend

        return OnnxBackend(path, replicas)
    from engine.backends.autobackend import UltralyticsBackend
    from engine.runtime.devices import check_device

    check_device(options.device)
    try:
        return UltralyticsBackend(path, options.device, options.half, options.dnn)
    except (RuntimeError, ValueError, OSError, ImportError, AssertionError, SyntaxError, KeyError) as error:
        why = " ".join(str(error).split())[:300] or type(error).__name__
        raise UsageError(f"--weights {path}: cannot be opened: {why}") from None


def _open_checkpoint(options: Namespace, weights: Any, images: int | None, replicas: int) -> Backend:
    needs_torch = _needs_torch(options, weights)
    wanted = options.backend
    if wanted not in ("auto", "torch") and needs_torch:
        raise UsageError(f"--backend {wanted}: {needs_torch}; leave it out")
    if wanted == "auto" and (needs_torch or gpu_possible(options.device)):
        wanted = "torch"
    if wanted == "auto":
        names = [name for name, module in RUNTIMES.items() if installed(module)]
        wanted = "openvino" if options.half and "openvino" in names else next(iter(names), "torch")
        few = images is not None and images <= FEW_IMAGES
        if wanted != "torch" and few and not _cached_onnx(options, wanted, weights).exists():
            wanted = "torch"
    if wanted == "torch":
        detector = load_weights(weights, options)
        # The caller's own model stays as it is: not folded, not in another type, its closed gates still in it.
        return _open_torch(options, deepcopy(detector) if detector is weights else detector, replicas)
    if wanted == "tensorrt":
        raise UsageError(
            "--backend tensorrt: write the engine with export.py --include tensorrt and give it as --weights"
        )
    return _open_onnx_form(options, wanted, weights, replicas)


RUNTIMES = {"onnx": "onnxruntime", "openvino": "openvino"}  # what reads ONNX files, the faster one in fp32 first


def _needs_torch(options: Namespace, weights: Any) -> str:
    """Return why only PyTorch can do what is asked, or nothing."""
    for flag in ("augment", "maps"):
        if getattr(options, flag):
            return f"--{flag} works in PyTorch only"
    if options.cfg or options.attention or options.plugin:
        return "attention placed here, or of a plugin, runs in PyTorch; export.py writes a file for other runtimes"
    return "" if isinstance(weights, str | Path) else "a model in memory runs in PyTorch"


def _cached_onnx(options: Namespace, runtime: str, weights: str | Path) -> Path:
    from models.weights.download import resolve_weights

    return cached_file(Path(resolve_weights(weights, options.download)), f"{runtime}{'-half' * options.half}")


def _open_torch(options: Namespace, detector: Any, replicas: int) -> Backend:
    from engine.backends.torch import TorchBackend
    from engine.runtime.devices import check_device, check_runtime

    check_device(options.device)
    check_runtime(detector, options.device, options.half, options.dnn)
    return TorchBackend(detector, options.device, options.half, options.augment, replicas)


def _open_onnx_form(options: Namespace, wanted: str, weights: Any, replicas: int) -> Backend:
    """Open the cached ONNX form of a checkpoint; where there is none, export it and verify it on the first images."""

    def opened(file: Path) -> Backend:
        if wanted == "openvino":
            from engine.backends.openvino import OpenVinoBackend

            return OpenVinoBackend(str(file), options.half, replicas)
        from engine.backends.onnx import OnnxBackend

        return OnnxBackend(str(file), replicas)

    target = _cached_onnx(options, wanted, weights)
    if target.exists():
        target.touch()
        return opened(target)
    from engine.backends.torch import TorchBackend
    from engine.backends.verified import HALF_BOXES, HALF_SCORES, VerifiedBackend

    detector = load_weights(weights, options)
    LOGGER.info(f"{weights}: writing its ONNX form, once, to {target}")
    try:
        made = export_onnx(detector, target)
    except Exception as error:
        if options.backend != "auto":
            raise UsageError(f"--backend {wanted}: {weights} has no ONNX form: {error}") from error
        LOGGER.warning(f"{weights}: no ONNX form ({' '.join(str(error).split())[:200]}): going on with PyTorch")
        return _open_torch(options, detector, replicas)
    return VerifiedBackend(
        opened(made),
        TorchBackend(detector, "cpu"),
        lambda good: store(made, target) if good else discard(made),
        **({"boxes": HALF_BOXES, "scores": HALF_SCORES} if options.half and wanted == "openvino" else {}),
    )
