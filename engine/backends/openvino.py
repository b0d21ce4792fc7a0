"""Run models in OpenVINO: .onnx files too, in bfloat16 where the processor has it and the user allows."""

from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import Any

import numpy as np
import yaml

from engine.backends.base import input_channels, read_metadata, shape_limits, stored_size
from engine.errors import UsageError
from models.upstream import environment

COMPILE_AFTER = (
    16  # calls of one shape, after which compiling the model for it alone, which makes it a sixth faster, pays
)
MAX_METADATA = 1 << 20  # characters of metadata
MISSING = "OpenVINO is not installed: pip install openvino"


class OpenVinoBackend:
    """Run an .onnx file, or a folder of export.py --include openvino, in OpenVINO; see `engine.backends.base.Backend`.

    Args:
        path: of the file or folder.
        half: compute in bfloat16 where the processor has it; boxes then move by up to a few pixels.
        replicas: calls that will run in parallel; the threads are shared out among them.

    Raises:
        UsageError: if it cannot be opened.
    """

    def __init__(self, path: str, half: bool = False, replicas: int = 1) -> None:
        try:
            import openvino
        except ModuleNotFoundError:
            raise UsageError(MISSING) from None
        file = Path(path)
        if file.is_dir():
            files = sorted(file.glob("*.xml"))
            if not files:
                raise UsageError(f"--weights {path}: has no .xml file; write it with export.py --include openvino")
            file = files[0]
        self.replicas = replicas
        self.core = openvino.Core()
        self.settings = {
            "INFERENCE_PRECISION_HINT": "bf16" if half else "f32",
            "INFERENCE_NUM_THREADS": environment.threads(),
            "NUM_STREAMS": replicas,
        }
        try:
            self.model = self.core.read_model(file)
            metadata = _metadata(file, self.model)
            self.free = self._requests(self.model)
        except RuntimeError as error:
            raise UsageError(
                f"--weights {path}: OpenVINO cannot open it: {' '.join(str(error).split())[:300]}"
            ) from None
        self.names, self.stride, self.finished = read_metadata(metadata, path)
        self.imgsz = stored_size(metadata, self.stride)
        sizes = tuple(d.get_length() if d.is_static else None for d in self.model.input(0).partial_shape)
        if len(sizes) != 4:
            raise UsageError(f"--weights {path}: takes an input of shape {sizes}, not images (B, 3, H, W)")
        self.batch, self.size = shape_limits(sizes)
        self.channels = input_channels(sizes)
        self.lock = Lock()
        self.repeats, self.shape = 0, tuple[int, ...]()  # the latest calls of one shape
        self.fixed, self.fixed_shape = self.free, tuple[int, ...]()
        version = openvino.__version__.split("-")[0]
        self.label = f"OpenVINO {version} on the CPU{' in bfloat16' if half else ''}"

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Run the model; see `Backend`."""
        requests = self._for_shape(images.shape)
        request = requests.get()
        try:
            request.infer([images], share_inputs=True)
            return request.get_output_tensor(0).data.astype(np.float32)  # type: ignore[no-any-return]
        finally:
            requests.put(request)

    def _requests(self, model: Any) -> SimpleQueue:
        """Compile a model; return as many requests as there are replicas."""
        compiled, requests = self.core.compile_model(model, "CPU", self.settings), SimpleQueue[Any]()
        for _ in range(self.replicas):
            requests.put(compiled.create_infer_request())
        return requests

    def _for_shape(self, shape: tuple[int, ...]) -> SimpleQueue:
        """Return requests of the model; of one compiled for images of this shape alone, where it comes again."""
        with self.lock:
            self.repeats, self.shape = (self.repeats + 1 if shape == self.shape else 1), shape
            if self.repeats == COMPILE_AFTER and self.size is None and shape != self.fixed_shape:
                model = self.model.clone()
                model.reshape(list(shape))
                self.fixed, self.fixed_shape = self._requests(model), shape
            return self.fixed if shape == self.fixed_shape else self.free


def _metadata(file: Path, model: object) -> dict[str, str]:
    """Return the metadata of an exported model: in the file where it is ONNX, else in metadata.yaml beside it."""
    beside = file.with_name("metadata.yaml")
    if file.suffix == ".xml":
        try:
            content = yaml.safe_load(beside.read_text(encoding="utf-8")[:MAX_METADATA])
        except (OSError, UnicodeDecodeError, yaml.YAMLError):
            return {}
        return {str(key): str(value) for key, value in content.items()} if isinstance(content, dict) else {}
    info = model.get_rt_info()  # type: ignore[attr-defined]
    metadata = {}
    for group in ("model_info", "framework"):
        if group in info:
            content = info[group].value if hasattr(info[group], "value") else info[group]
            metadata.update({key: str(getattr(value, "value", value)) for key, value in dict(content).items()})
    return metadata
