"""Detection heads by the name in the YAML, ours and those that a plugin registers."""

from collections.abc import Callable, Collection
from importlib import import_module
from typing import Any, NamedTuple, TypeVar

from torch import nn

from attention.registry import Registry

T = TypeVar("T", bound=type[nn.Module])


class Head(NamedTuple):
    """A head.

    Attributes:
        make: its class, called with (nc, anchors, channels, strides or None) on anchors and (nc, channels) without; or
            "module:class", imported when the first one is constructed, so that reading a description stays quick.
        on_anchors: whether `[nc, anchors]` makes it.
        free: whether `[nc]` makes it.
        note: what else the word means elsewhere, said when a file uses it.
    """

    make: str | Callable[..., nn.Module]
    on_anchors: bool = True
    free: bool = False
    note: str = ""

    def load(self) -> Callable[..., Any]:
        """Return what constructs it."""
        if not isinstance(self.make, str):
            return self.make
        home, _, name = self.make.partition(":")
        made: Callable[..., Any] = getattr(import_module(home), name)
        return made


HEADS: Registry[Head] = Registry("head")

for _name, _entry in {
    "Detect": Head("models.heads.yolov5:AnchorHead", free=True),
    "PlainDetect": Head("models.heads.yolov7:PlainHead"),
    "IDetect": Head("models.heads.yolov7:ImplicitHead"),
    "IAuxDetect": Head("models.heads.yolov7:AuxImplicitHead"),
    "v10Detect": Head("models.upstream.layers:v10Detect", on_anchors=False, free=True),
    "Decoupled_Detect": Head(
        "models.heads.decoupled:WideDecoupledHead",
        note="built with branches of 256 channels; some forks mean Decoupled_Detect_v5 (YOLOv5's Decouple) or "
        "Decoupled_Detect_v7 (a stem and branches as wide as each map) by this word",
    ),
    "Decoupled_Detect_v5": Head("models.heads.decoupled:TaperedDecoupledHead"),
    "Decoupled_Detect_v7": Head("models.heads.decoupled:StemDecoupledHead"),
    "IDetect_Decoupled": Head("models.heads.decoupled:ImplicitDecoupledHead"),
    "ASFF_Detect": Head(
        "models.heads.asff:ASFFHead",
        note="built as most forks of YOLOv5 have it (ASFFV5); some mean ASFF_Detect_v3 (the authors' ASFF, level after "
        "level) by this word",
    ),
    "ASFF_Detect_v3": Head("models.heads.asff:SequentialASFFHead"),
    "DyHead_Detect": Head("models.heads.dyhead:DyHead"),
}.items():
    HEADS.register(_name)(_entry)


# One word, several structures: what tensors of a checkpoint show → the name that means it.
_FORMS = {
    "Decoupled_Detect": {"m_stem.0.conv.weight": "Decoupled_Detect_v7", "m.0.b1.conv.weight": "Decoupled_Detect_v5"},
    "ASFF_Detect": {"asffs.0.weight_levels.weight": "ASFF_Detect_v3"},
}


def meant(name: str, tensors: Collection[str]) -> str:
    """Return the head that a word means in a checkpoint.

    Args:
        name: as its description writes it.
        tensors: names of the head's tensors, within the head.
    """
    return next((form for tensor, form in _FORMS.get(name, {}).items() if tensor in tensors), name)


def is_head(name: str) -> bool:
    """Tell whether a row can end a model under this name."""
    return name in HEADS


def on_anchors(name: str) -> bool:
    """Tell whether `[nc, anchors]` makes a head of this name."""
    return name in HEADS and HEADS[name].on_anchors


def register_head(*names: str, anchors: bool = True) -> Callable[[T], T]:
    """Decorate a head so that the last row of a YAML can name it by its class name, or by the names given.

    A class of a fork is taken as it is. On anchors it is constructed with (nc, anchors, channels) and in training
    returns for each level the raw map (B, anchors, H, W, 5 + nc), as heads of YOLOv5 and YOLOv7 do. Free of anchors it
    is constructed with (nc, channels) and in training returns the raw maps (B, 4 · reg_max + nc, H, W), as heads of
    ultralytics did up to 8.3, or what the installed Detect returns. Boxes are decoded, and the loss is computed, as for
    the standard head; what the class does in eval mode is not used.

    Args:
        *names: instead of the class's own.
        anchors: whether it predicts on anchors.

    Raises:
        ValueError: if a name is taken.
    """

    def decorate(cls: T) -> T:
        entry = Head(_adapted(cls, anchors), on_anchors=anchors, free=not anchors)
        first, *rest = names or (cls.__name__,)
        HEADS.register(first, *rest)(entry)
        return cls

    return decorate


def _adapted(cls: type[nn.Module], anchors: bool) -> Callable[..., nn.Module]:
    """Return a constructor that gives a class of a fork what a head needs here."""

    def make(*args: Any) -> nn.Module:
        from models.heads.foreign import adapt, adapt_free  # loads ultralytics

        head: nn.Module = adapt(cls, *args) if anchors else adapt_free(cls, *args)
        return head

    return make
