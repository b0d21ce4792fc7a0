"""Run models in ONNX Runtime: it starts in a tenth of a second, and is about twice as fast as PyTorch on CPUs."""

import numpy as np

from engine.backends.base import input_channels, read_metadata, shape_limits, stored_size
from engine.errors import UsageError
from models.upstream import environment

MISSING = "ONNX Runtime is not installed: pip install onnxruntime"


class OnnxBackend:
    """Run an .onnx file in ONNX Runtime, on the CPU; see `engine.backends.base.Backend`.

    Args:
        path: of the file.
        replicas: calls that will run in parallel; the threads are shared out among them.

    Raises:
        UsageError: if it cannot be opened.
    """

    def __init__(self, path: str, replicas: int = 1) -> None:
        try:
            import onnxruntime
        except ModuleNotFoundError:
            raise UsageError(MISSING) from None
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = max(1, environment.threads() // replicas)
        settings.inter_op_num_threads = 1
        settings.log_severity_level = 3  # errors only; they are raised as well
        try:
            self.session = onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
        except Exception as error:  # noqa: BLE001 - its exceptions share no base class
            raise UsageError(f"--weights {path}: ONNX Runtime cannot open it: {_short(error)}") from None
        self.names, self.stride, self.finished = read_metadata(self.session.get_modelmeta().custom_metadata_map, path)
        self.imgsz = stored_size(self.session.get_modelmeta().custom_metadata_map, self.stride)
        entry = self.session.get_inputs()[0]
        self.entry, self.type = entry.name, np.float16 if "float16" in entry.type else np.float32
        if len(entry.shape) != 4:
            raise UsageError(f"--weights {path}: takes an input of shape {entry.shape}, not images (B, 3, H, W)")
        self.batch, self.size = shape_limits(tuple(entry.shape))
        self.channels = input_channels(tuple(entry.shape))
        self.replicas = replicas
        self.label = f"ONNX Runtime {onnxruntime.__version__} on the CPU"

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Run the model; see `Backend`."""
        output = self.session.run(None, {self.entry: images.astype(self.type, copy=False)})[0]
        return output.astype(np.float32, copy=False)  # type: ignore[no-any-return]


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
