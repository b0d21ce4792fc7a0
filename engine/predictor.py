"""ultralytics' predictor over our sources, with heat maps for anchor heads."""

from typing import Any

from engine import compat  # noqa: F401 - before any other part of ultralytics

# isort: split
import torch
from ultralytics.models.yolo.detect import DetectionPredictor
from ultralytics.utils.checks import check_imgsz

from engine.sources import Shot, open_source

PROBABILITY_FLOOR = 1e-6  # keeps logits finite


class Predictor(DetectionPredictor):
    """Detection whose results know where their picture comes from (`result.shot`), and which writes nothing itself."""

    def setup_source(self, source: Any, stride: int | None = None) -> None:
        """Open the source.

        Raises:
            UsageError: if there is no such source.
        """
        if hasattr(self.model, "imgsz") and not getattr(self.model, "dynamic", False):
            self.args.imgsz = self.model.imgsz  # an exported model has one size only
        self.imgsz = check_imgsz(self.args.imgsz, stride=stride or self.model.stride, min_dim=2)
        self.dataset = open_source(source, batch=self.args.batch, vid_stride=self.args.vid_stride)
        self.source_type = self.dataset.source_type
        if self._is_eager():
            self.model.model.to(memory_format=torch.channels_last)

    def _is_eager(self) -> bool:
        """Whether the model runs in PyTorch rather than in an export's runtime."""
        return bool(getattr(self.model, "base_model", False))

    def postprocess(self, preds: Any, img: torch.Tensor, orig_imgs: Any, **kwargs: Any) -> list[Any]:
        """Suppress overlapping boxes and attach to every result its shot.

        Returns:
            ultralytics Results, one a picture.
        """
        results = super().postprocess(preds, img, orig_imgs, **kwargs)
        for result, path, shot in zip(results, self.batch[0], self.batch[2], strict=True):
            result.shot = shot if isinstance(shot, Shot) else Shot(str(path))
        return results

    def inference(self, im: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        """Run the model, in the memory order that convolutions like.

        For --visualize, ultralytics' heat maps get the class logits in the form that they expect.
        """
        if self._is_eager():
            im = im.contiguous(memory_format=torch.channels_last)
        if not (self.args.visualize and self._is_eager()):
            return super().inference(im, *args, **kwargs)

        def as_stock_head(module: torch.nn.Module, inputs: Any, output: Any) -> Any:
            decoded, raw = output
            if isinstance(raw, dict):
                return output
            floor = PROBABILITY_FLOOR
            return decoded, {"scores": torch.logit(decoded[:, 4:].clamp(floor, 1 - floor))}

        handle = self.model.model.model[-1].register_forward_hook(as_stock_head)
        try:
            return super().inference(im, *args, **kwargs)
        finally:
            handle.remove()
