"""Every patch of ultralytics, in one place (that of Pillow in pillow_opener.py).

test_ultralytics_contract.py says what each relies on.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from types import ModuleType
from typing import Any

import torch
import ultralytics
from ultralytics.engine import model as model_module
from ultralytics.engine import trainer as trainer_module
from ultralytics.engine import validator as validator_module
from ultralytics.models.yolo.detect import val as detection_module
from ultralytics.nn import tasks
from ultralytics.utils import nms, torch_utils
from ultralytics.utils import tqdm as progress_module

from models.upstream import environment
from models.upstream.pillow_opener import restore_opener

# scripts/try_ultralytics.py puts another release in place, to see what it breaks.
SUPPORTED = os.environ.get("YOLO_ATTENTION_TRY_ULTRALYTICS") or "8.4.190"

_load_model: Callable[[Any], Any] | None = None  # set by connect


def _load_checkpoint(weight: Any, device: Any = None, inplace: bool = True, fuse: bool = False) -> tuple[Any, dict]:
    """Stand in for ultralytics' loader, which would execute the file's pickle: read any known checkpoint safely.

    Args:
        weight: path of the file.
        device: where the model goes.
        inplace: kept for the signature; our heads have no other way.
        fuse: merge batch norms into convolutions.

    Returns:
        The model in eval mode, and the part of stock's checkpoint that its recovery from divergence looks at; all else
        is read by engine/training/run_state.py.
    """
    if _load_model is None:
        raise RuntimeError("ultralytics reads a checkpoint before patches.connect said how")
    model = _load_model(weight)
    model = model.fuse() if fuse else model
    model = model.eval().to(device)
    return model, {"ema": model}


def apply() -> None:
    """Apply the lasting patches; calling it again changes nothing.

    - One safe reader for checkpoints, wherever ultralytics loads one.
    - Threads: `select_device` would set ultralytics' own number, which is 1 on two cores.
    - The run's arguments are printed by us, compactly, and device and versions once, not by each part of a run.
    - Where the output is no terminal, a progress bar is written once, when it is done, and without control codes.
    - Pillow opens files itself again: ultralytics' opener answers an unreadable one by installing a package.

    Raises:
        ImportError: if another ultralytics than the supported one is installed.
    """
    if ultralytics.__version__ != SUPPORTED:
        raise ImportError(
            f"ultralytics {ultralytics.__version__} is installed, this program subclasses {SUPPORTED}; "
            f"run: pip install ultralytics=={SUPPORTED}"
        )
    for module in (tasks, trainer_module, model_module):
        module.load_checkpoint = _load_checkpoint
    torch_utils.NUM_THREADS = environment.threads()
    torch.set_num_threads(environment.threads())
    restore_opener()
    trainer_module.print_args = lambda *args, **kwargs: None
    progress_module.is_noninteractive_console = _output_is_kept
    for module in (trainer_module, validator_module):
        module.select_device = _select_device
        module.colorstr = _coloured


def _output_is_kept() -> bool:
    """Tell whether standard output goes to a file or another program, where redrawn lines would pile up."""
    return not sys.stdout.isatty() or "GITHUB_ACTIONS" in os.environ


def _select_device(device: Any = "", newline: bool = False, verbose: bool = False) -> torch.device:
    """Choose the device without ultralytics' banner."""
    return torch_utils.select_device(device, newline=newline, verbose=False)


def _coloured(*parts: str) -> str:
    """Colour text on terminals; the last part is the text."""
    return parts[-1] if _output_is_kept() else ultralytics.utils.colorstr(*parts)


def connect(load_model: Callable[[Any], Any], suppress: Callable[..., Any]) -> None:
    """Give ultralytics' trainer and validator what stands above this package.

    Args:
        load_model: path → model; reads checkpoints safely.
        suppress: of the signature of ultralytics' `non_max_suppression`, which stops at a wall-clock limit: on a busy
            machine it empties images without an error.
    """
    global _load_model
    _load_model = load_model
    nms.non_max_suppression = suppress


@contextmanager
def swapped(module: ModuleType, name: str, replacement: Any) -> Iterator[None]:
    """Replace a name in one module for the time of a block."""
    original = getattr(module, name)
    setattr(module, name, replacement)
    try:
        yield
    finally:
        setattr(module, name, original)


def dataset_described_by(info: dict) -> Any:
    """Return a context in which ultralytics' validator takes `info` for the data set instead of reading a YAML."""
    return swapped(validator_module, "check_det_dataset", lambda *args, **kwargs: info)


def validating_in(dtype: torch.dtype | None) -> Any:
    """Return a context in which ultralytics' validator runs the model under autocast to `dtype`; None: as it likes.

    Left to itself it takes fp16 on GPUs, whatever the model was trained in.
    """
    if dtype is None:
        return nullcontext()

    def autocast(enabled: Any, device: str = "cuda") -> Any:
        return torch.autocast(device, dtype=dtype)

    return swapped(validator_module, "autocast", autocast)


def quantized_by(function: Callable[..., str]) -> Any:
    """Return a context in which ultralytics' ONNX export calls `function` to go from fp32 to 8 bits."""
    from ultralytics.utils.export import onnx

    return swapped(onnx, "onnx_int8_quantize", function)


@contextmanager
def single_process() -> Iterator[None]:
    """Let ultralytics' validator work as in a single process, though it was started as one of several."""
    with ExitStack() as stack:
        for module in (validator_module, detection_module):
            for name in ("RANK", "LOCAL_RANK"):
                stack.enter_context(swapped(module, name, -1))
        yield
