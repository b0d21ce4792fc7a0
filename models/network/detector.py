"""The detector: a resolved model as a network that ultralytics' engine takes unchanged."""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from attention.attended import Attended
from attention.fuse import fuse_parts
from models.errors import SpecError
from models.heads.yolov5 import AnchorHead
from models.heads.yolov7 import PlainHead
from models.losses.yolov5 import AnchorLoss
from models.losses.yolov7 import V7Loss
from models.network.module_settings import apply_module_settings
from models.network.parser import parse
from models.network.routes import kept_outputs
from models.network.size_changes import Attention, watched_attention
from models.spec.model_spec import ModelSpec
from models.upstream.layers import LOGGER, Conv, Detect, DetectionModel, conv, scale_img, time_sync

TTA_SCALES = (1.0, 0.83, 0.67)
TTA_FLIPS = (None, 3, None)  # 3: left-right


def _keep_attended_apart(model: nn.Module) -> None:
    """Join, but do not merge, convolution and normalisation where attention stands on one of them, in place.

    ultralytics would put a new convolution in their place, and the attention would be gone.
    """
    blocks: list[Any] = list(model.modules())
    summed = {id(part) for block in blocks if isinstance(block, conv.RepConv) for part in block.children()}
    for block in blocks:
        if not isinstance(block, Conv) or isinstance(block, conv.Conv2) or id(block) in summed:
            continue
        if hasattr(block, "bn") and (isinstance(block.conv, Attended) or isinstance(block.bn, Attended)):
            block.conv = nn.Sequential(block.conv, block.bn)
            del block.bn
            block.forward = block.forward_fuse


class _Enough(Exception):
    """Ends a run at the head."""


class Detector(DetectionModel):
    """A YOLO detector built from a ModelSpec.

    Args:
        spec: the resolved model.
        names: class index → name; "0", "1", … by default.
        hyp: loss gains and thresholds; unknown keys are left to the trainer.
        seed: of the initial values.

    Shape:
        input (B, ch, H, W) in 0–1, H and W multiples of the largest stride. Eval output `(decoded, raw)` as in the
        head; training output raw maps.

    Raises:
        SpecError: if a layer cannot be constructed, or maps do not fit once they are run.
    """

    trained_imgsz: int | None = None  # pixels of the longer side in training, where the checkpoint says

    def __init__(
        self,
        spec: ModelSpec,
        names: Mapping[int, str] | None = None,
        hyp: Mapping[str, float] | None = None,
        seed: int = 0,
    ) -> None:
        # Not DetectionModel.__init__, which would parse the YAML by ultralytics' own rules.
        nn.Module.__init__(self)
        self.spec = spec
        self.yaml = {**spec.yaml, "channels": spec.ch}
        self.nc = spec.nc
        self.names = dict(names) if names else {i: str(i) for i in range(spec.nc)}
        self.inplace = True
        self.task = "detect"
        self.model, self.routes = parse(spec, seed)
        apply_module_settings(self, spec)
        self.save = kept_outputs(self.routes)
        head: Any = self.model[-1]
        head.inplace = True
        loss = _loss_class(head)
        self.hyp: dict[str, Any] = {**(loss.defaults if loss else {}), **(hyp or {})}
        self._settle_strides(head)
        self.criterion: Any = None

    def _settle_strides(self, head: Any) -> None:
        """Run a small image through the layers: they must fit one another and give maps of the strides expected."""
        levels = head.nl
        expected = [self.spec.layer(name).stride for name in self.spec.head.reads[:levels]]
        known = [int(stride) for stride in expected if stride is not None]
        size = 2 * max(known) if len(known) == levels else 256
        with watched_attention(self) as attention:
            cells = self._cells(size, attention)[:levels]
        strides = [size / count for count in cells]
        for name, stride, count in zip(self.spec.head.reads, expected, cells, strict=False):
            if stride is not None and count * stride != size:
                raise SpecError(
                    attention.explain(
                        f"{self.spec.head.origin}: layer {name} gives {count} cells for {size} pixels, expected "
                        f"{size / stride:g}; check kernels and paddings of the rows before it"
                    )
                )
        self.stride = torch.tensor(strides)
        if not isinstance(head, AnchorHead):
            head.stride = self.stride.clone()
            head.bias_init()
        elif not bool(head.stride.any()):
            head.set_strides(self.stride.clone())

    @torch.no_grad()
    def _cells(self, size: int, attention: Attention) -> list[int]:
        """Return the height of each map that the head reads from an image of `size` pixels.

        Args:
            size: pixels of a side.
            attention: what is seen of it meanwhile.
        """
        found: list[int] = []

        def stop(_: nn.Module, args: tuple[list[Tensor]]) -> None:
            found.extend(x.shape[-2] for x in args[0])
            raise _Enough

        hook = self.model[-1].register_forward_pre_hook(stop)
        training = self.training
        try:
            with torch.random.fork_rng(devices=[]):
                self.eval()(torch.zeros(1, self.spec.ch, size, size))
        except _Enough:
            pass
        except (RuntimeError, TypeError, AttributeError, LookupError, ValueError, AssertionError, MemoryError) as error:
            text = " ".join(str(error).split())[:300]
            reason = f"{self._origin_of_failure(size)}: layers do not fit one another: {text}"
            raise SpecError(attention.explain(text if attention.running else reason)) from None
        finally:
            hook.remove()
            self.train(training)
        return found

    def _origin_of_failure(self, size: int) -> str:
        """Return the row whose layer fails on an image of `size` pixels, as a message begins."""
        running: list[str] = []
        hooks = [
            module.register_forward_pre_hook(lambda *_, origin=layer.origin: running.append(origin))
            for layer, module in zip(self.spec.layers, self.model, strict=True)
        ]
        try:
            with contextlib.suppress(Exception):
                self.eval()(torch.zeros(1, self.spec.ch, size, size))
        finally:
            for hook in hooks:
                hook.remove()
        return running[-1] if running else self.spec.label

    def attention_names(self) -> list[str]:
        """Return the names of the attention modules: layers of their own, and those inside blocks."""
        layers = [f"model.{layer.name}" for layer in self.spec.layers if layer.attention is not None]
        for name, module in self.named_modules():
            if isinstance(module, Attended):
                layers += [f"{name}.{child}" for child in module.attention_names]
        return layers

    def init_criterion(self) -> Any:
        """Return the loss that the head asks for."""
        loss = _loss_class(self.model[-1])
        if loss is None and not hasattr(self, "args"):  # where no trainer has set the gains that stock's losses read
            from models.upstream.training import get_cfg

            self.args = get_cfg()
        return loss(self) if loss else super().init_criterion()

    def fuse(self, verbose: bool = True, imgsz: int = 640) -> "Detector":
        """Fold batch normalisation into convolutions, in blocks and in attention; in place, and to eval mode."""
        self.eval()
        _keep_attended_apart(self.model)
        super().fuse(verbose=False, imgsz=imgsz)
        fuse_parts(self.model, skip=Detect)
        return self

    def _predict_once(self, x: Any, profile: bool = False, embed: Sequence[int] | None = None) -> Any:
        """Run the layers along the routes; ultralytics' version looks for them on the layers.

        Args:
            x: images (B, ch, H, W).
            profile: log the time of each layer.
            embed: positions of layers whose pooled outputs are returned instead, one vector an image.
        """
        outputs: list[Any] = []
        pooled: list[Tensor] = []
        for route, layer in zip(self.routes, self.model, strict=True):
            x = route.inputs(x, outputs)
            if profile:
                LOGGER.info(f"{self._milliseconds(layer, x):10.2f} ms  {route.position:>3}  {route.module}")
            x = layer(x)
            outputs.append(x if route.position in self.save else None)
            if embed and route.position in embed:
                pooled.append(x.mean((2, 3)))
                if route.position == max(embed):
                    return torch.cat(pooled, 1).unbind(0)
        return x

    def _milliseconds(self, layer: nn.Module, x: Any, runs: int = 10) -> float:
        """Return the mean time of a layer over a few runs."""
        start = time_sync(self.stride.device)
        for _ in range(runs):
            layer(list(x) if isinstance(x, list) else x)  # the head writes into its list
        return (time_sync(self.stride.device) - start) * 1000 / runs

    def load(self, weights: Any, verbose: bool = True) -> None:
        """Load a state dict or a module by tensor names; `build_model(weights=…)` is the way that reports and aligns.

        Raises:
            SpecError: if the tensors do not fit.
        """
        state = weights.float().state_dict() if isinstance(weights, nn.Module) else weights
        try:
            self.load_state_dict(state)
        except RuntimeError as error:
            raise SpecError(
                f"{self.spec.label}: the weights do not fit: {' '.join(str(error).split())[:300]}"
            ) from None

    def _predict_augment(self, x: Tensor) -> tuple[Tensor, None]:
        """Predict at three scales, once mirrored, and join the boxes; ultralytics' version asks for its own head."""
        if not isinstance(self.model[-1], AnchorHead):
            return super()._predict_augment(x)  # type: ignore[no-any-return]
        height_width = x.shape[-2:]
        found = []
        for scale, flip in zip(TTA_SCALES, TTA_FLIPS, strict=True):
            image = scale_img(x.flip(flip) if flip else x, scale, gs=int(self.stride.max()))
            y = self._predict_once(image)[0]
            found.append(self._descale_pred(y, flip, scale, height_width))
        return torch.cat(self._clip_augmented(found), -1), None


def _loss_class(head: nn.Module) -> type[AnchorLoss] | None:
    """Return the loss of an anchor-based head, None for ultralytics' own heads."""
    if isinstance(head, PlainHead):
        return V7Loss
    return AnchorLoss if isinstance(head, AnchorHead) else None
