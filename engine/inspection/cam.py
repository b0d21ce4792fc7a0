"""Class-activation maps of detectors, by the library grad-cam."""

import importlib.util
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from engine.errors import UsageError
from metrics.iou import iou_matrix

LIBRARY = "pytorch_grad_cam"  # the module of the package grad-cam
FLOOR = 1e-6  # of a probability, so that its logit is finite
SAME_IOU = 0.5  # IoU with a chosen box of a raw box that speaks for it
MAX_ROWS = 100  # raw boxes for a chosen one


def check_grad_cam() -> None:
    """Make sure that the library is there.

    Raises:
        UsageError: saying how to install it.
    """
    if importlib.util.find_spec(LIBRARY) is None:
        raise UsageError("--maps cam needs grad-cam, which is not installed: pip install grad-cam")


class ClassActivationMaps:
    """Show which positions of some layers speak for chosen boxes.

    HiResCAM: activation times gradient at each position, summed over channels, negative sums left out; of the logits
    of the raw boxes that overlap a chosen box, in its class. Where there are several layers, their maps are scaled to
    0–1 and averaged.

    Args:
        model: a Detector in eval mode, of its own: its tensors want no gradient afterwards.
        layers: modules whose output is looked at.

    Raises:
        UsageError: if grad-cam is not installed.

    Source:
        Draelos, Carin, 2020, arXiv:2011.08891, by the library grad-cam (jacobgil/pytorch-grad-cam).
    """

    def __init__(self, model: nn.Module, layers: Sequence[nn.Module]) -> None:
        check_grad_cam()
        from pytorch_grad_cam import HiResCAM

        for parameter in model.parameters():
            parameter.requires_grad_(False)
        self.cam = HiResCAM(_Decoded(model), list(layers))

    def __call__(self, images: Tensor, boxes: Sequence[np.ndarray], classes: Sequence[np.ndarray]) -> np.ndarray:
        """Return maps (B, H, W) in 0–1, nothing but 0 for an image without boxes.

        Args:
            images: (B, 3, H, W) as the model takes them.
            boxes: (n, 4) corners in pixels of each of them.
            classes: (n,) numbers.
        """
        targets = [_Target(b, c) for b, c in zip(boxes, classes, strict=True)]
        if not any(len(b) for b in boxes):
            return np.zeros((len(images), *images.shape[2:]), np.float32)
        with torch.enable_grad():
            maps = self.cam(input_tensor=images.detach().clone().requires_grad_(True), targets=targets)
        maps = np.nan_to_num(np.asarray(maps, np.float32))
        for number, one in enumerate(boxes):
            if not len(one):
                maps[number] = 0
        return maps

    def __enter__(self) -> "ClassActivationMaps":
        return self

    def __exit__(self, *error: object) -> None:
        """Take the library's hooks out of the model."""
        self.cam.activations_and_grads.release()


class _Decoded(nn.Module):
    """Return the decoded rows of a detector, one tensor, as the library wants it."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        """Return (B, 4 + nc, N), or (B, N, 6) of a model that suppresses boxes itself."""
        output = self.model(images)
        while not isinstance(output, Tensor):
            output = output[0]
        return output


class _Target:
    """Sum the logits of the raw boxes that stand for chosen ones."""

    def __init__(self, boxes: np.ndarray, classes: np.ndarray) -> None:
        self.boxes, self.classes = boxes, classes

    def __call__(self, rows: Tensor) -> Tensor:
        if rows.shape[-1] == 6 and rows.shape[0] != 6:  # (N, 6): corners, score, class
            corners, scores = rows[:, :4], rows[:, 4]
            per_class = [scores * (rows[:, 5] == float(number)) for number in self.classes]
        else:
            centre, size = rows[:2].T, rows[2:4].T
            corners = torch.cat((centre - size / 2, centre + size / 2), 1)
            per_class = [rows[4 + int(number)] for number in self.classes]
        total = rows.sum() * 0
        overlaps = iou_matrix(self.boxes.astype(float), corners.detach().cpu().double().numpy())
        for overlap, scores in zip(overlaps, per_class, strict=True):
            near = np.flatnonzero(np.nan_to_num(overlap) >= SAME_IOU)
            if len(near):
                best = torch.as_tensor(near, device=scores.device)
                chosen = scores[best].topk(min(len(near), MAX_ROWS)).values.clamp(FLOOR, 1 - FLOOR)
                total = total + torch.logit(chosen.float()).sum()
        return total
