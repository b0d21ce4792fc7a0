"""Run models in PyTorch: for GPUs, for --augment and --maps, and where nothing else is wanted or fits."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from itertools import chain
from queue import SimpleQueue
from typing import Any

import numpy as np
import torch
from torch import nn

from attention.fuse import remove_closed
from engine.runtime.devices import device_name, memory_format
from engine.runtime.image_size import usual_size
from engine.runtime.log import LOGGER
from models.upstream.inference import select_device


class TorchBackend:
    """Run a Detector in PyTorch; see `engine.backends.base.Backend`.

    Args:
        detector: the model; it is moved to the device, and its normalisation is folded.
        device: "cpu", a GPU's number, or empty to choose.
        half: fp16, on GPUs.
        augment: test-time augmentation.
        replicas: copies of the model for parallel calls, on CPUs; the threads are shared out among them, since threads
            of one call wait for each other at the end of every layer.

    Attributes:
        on_device: whether `call_filtered` is the way: images go to a GPU as bytes, and few rows come back.
    """

    size: tuple[int, int] | None = None
    batch: int | None = None

    def __init__(
        self, detector: Any, device: str = "", half: bool = False, augment: bool = False, replicas: int = 1
    ) -> None:
        self.device = select_device(device, verbose=False)
        self.type = torch.float16 if half and self.device.type != "cpu" else torch.float32
        detector = detector.to(self.device).eval().fuse(verbose=False)
        for line in remove_closed(detector.model, "model"):
            LOGGER.info(line)
        self.memory_format = memory_format(self.device)
        self.detector = detector.to(memory_format=self.memory_format, dtype=self.type)
        self.names = {int(number): str(name) for number, name in detector.names.items()}
        self.stride = int(detector.stride.max())
        self.channels = int(detector.yaml.get("channels", 3))
        self.imgsz = usual_size(getattr(detector, "trained_imgsz", None), self.stride)
        self.finished = bool(getattr(detector, "end2end", False))
        self.replicas = replicas if self.device.type == "cpu" else 1
        self.threads = torch.get_num_threads()
        self.free: SimpleQueue[Any] = SimpleQueue()  # the replicas that no call uses
        for replica in range(self.replicas):
            self.free.put(_replica(self.detector) if replica else self.detector)
        self.on_device = self.device.type != "cpu" and not self.finished
        self.augment = augment
        where = "the CPU" if self.device.type == "cpu" else device_name(self.device)
        self.label = f"PyTorch {torch.__version__.split('+')[0]} on {where}"

    @torch.inference_mode()
    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Run the model; see `Backend`."""
        with self._borrowed_replica() as detector:
            output = detector(self._tensor(images), augment=self.augment)
            return first_tensor(output).float().cpu().numpy()  # type: ignore[no-any-return]

    @torch.inference_mode()
    def call_filtered(self, images: np.ndarray, conf_thres: float) -> list[np.ndarray]:
        """Run the model, and bring back those rows only that count: for each image (m, 4 + nc).

        Args:
            images: (B, c, H, W) uint8, colour as RGB.
            conf_thres: score above which the best class of a row must be.
        """
        with self._borrowed_replica() as detector:
            output = first_tensor(detector(self._tensor(images), augment=self.augment)).float()
        image, place = (output[:, 4:].amax(1) > conf_thres).nonzero(as_tuple=True)
        rows = torch.cat((image[:, None].to(output.dtype), output[image, :, place]), 1).cpu().numpy()
        ends = np.searchsorted(rows[:, 0], np.arange(1, len(images)))
        return np.split(np.ascontiguousarray(rows[:, 1:]), ends)

    @contextmanager
    def _borrowed_replica(self) -> Iterator[Any]:
        """Lend a detector that no other call uses, and let this thread have its share of the threads.

        The number holds for the calling thread, and for threads that are new: so it is put back.
        """
        detector = self.free.get()
        try:
            if self.replicas > 1:
                torch.set_num_threads(max(1, self.threads // self.replicas))
            yield detector
        finally:
            if self.replicas > 1:
                torch.set_num_threads(self.threads)
            self.free.put(detector)

    def _tensor(self, images: np.ndarray) -> torch.Tensor:
        tensor = torch.from_numpy(images)
        if self.device.type == "cuda":
            tensor = tensor.pin_memory().to(self.device, non_blocking=True)
        tensor = tensor.to(self.device, self.type)
        tensor = tensor / 255 if images.dtype == np.uint8 else tensor
        return tensor.contiguous(memory_format=self.memory_format)


def _replica(detector: nn.Module) -> nn.Module:
    """Copy a detector without its tensors, which both use: heads remember the last shape they saw."""
    tensors = {id(tensor): tensor for tensor in chain(detector.parameters(), detector.buffers())}
    return deepcopy(detector, tensors)  # type: ignore[arg-type]


def first_tensor(output: Any) -> torch.Tensor:
    """Return the first tensor of nested outputs: the decoded boxes."""
    while not isinstance(output, torch.Tensor):
        output = output[0]
    return output
