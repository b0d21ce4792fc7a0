"""Exported files in the runtimes of ultralytics' AutoBackend: TorchScript, TensorRT, CoreML, ncnn and others."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from engine.backends.torch import first_tensor
from engine.runtime.image_size import usual_size
from models.upstream.inference import AutoBackend, select_device


class UltralyticsBackend:
    """Run an exported file by ultralytics' AutoBackend; see `engine.backends.base.Backend`.

    Args:
        path: of the file or folder.
        device: "cpu", a GPU's number, or empty to choose.
        half: fp16 where the runtime has it.
        dnn: OpenCV's runtime for .onnx files.
    """

    def __init__(self, path: str, device: str = "", half: bool = False, dnn: bool = False) -> None:
        self.device = select_device(device, verbose=False)
        self.model = AutoBackend(path, device=self.device, dnn=dnn, fp16=half, verbose=False)
        self.names = {int(number): str(name) for number, name in self.model.names.items()}
        self.stride = int(self.model.stride)
        self.channels = int(getattr(self.model, "channels", 3) or 3)
        self.imgsz = usual_size(None, self.stride)
        self.finished = bool(getattr(self.model, "end2end", False))
        self.replicas = 1
        size: Any = getattr(self.model, "imgsz", None)
        free = getattr(self.model, "dynamic", False) or size is None
        self.size = None if free else (int(size[0]), int(size[-1]))
        self.batch = None if free else int(getattr(self.model, "batch", 1))
        self.label = f"{'OpenCV DNN' if dnn else Path(path).suffix.lstrip('.') or 'exported model'} on {self.device}"

    @torch.inference_mode()
    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Run the model; see `Backend`."""
        tensor = torch.from_numpy(images).to(self.device)
        output = self.model(tensor.half() if self.model.fp16 else tensor)
        return first_tensor(output).float().cpu().numpy()  # type: ignore[no-any-return]
