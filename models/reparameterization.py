"""Training form → deploy form: branches merged, implicit parameters folded, auxiliary outputs gone; same results.

Everything follows from the graph, so any number of classes and any placed attention will do.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from models.blocks.repconv import RepConv
from models.errors import SpecError
from models.heads.yolov7 import ImplicitHead
from models.network.detector import Detector
from models.network.full_precision import without_tf32
from models.spec.attention_entries import FORMS
from models.spec.layer import IMAGE, Layer
from models.spec.model_spec import ModelSpec, read_spec
from models.spec.selectors import select_layers

PLAIN = {"IDetect": "PlainDetect", "IAuxDetect": "PlainDetect"}
_REP_CONV = (0, 3, 1, None, 1, True)  # defaults of a RepConv row before its last argument, `deploy`
_TRAINING_ONLY = ("ia.", "im.", "m2.")


class FormsDisagree(RuntimeError):
    """Report a deploy form that does not compute what the training form computes; the message says how far apart."""


@dataclass(frozen=True)
class Agreement:
    """Hold how far the outputs of two forms of a model lie apart on one image.

    Attributes:
        raw: largest difference of a logit.
        boxes: largest difference of a box coordinate in pixels.
        scores: largest difference of a score.
        tolerance: what `raw` may be.
    """

    raw: float
    boxes: float
    scores: float
    tolerance: float

    @property
    def holds(self) -> bool:
        """Tell whether the difference is within tolerance; not if it is no number."""
        return self.raw <= self.tolerance

    def __str__(self) -> str:
        """Return the differences in one line."""
        return (
            f"largest differences: logits {self.raw:.2e} (tolerance {self.tolerance:.0e}), boxes {self.boxes:.2e} px, "
            f"scores {self.scores:.2e}"
        )


def reparameterize(detector: Detector, tolerance: float = 2e-3, *, merge: bool = True) -> Detector:
    """Return the deploy form of a detector; the detector itself is left as it is.

    Args:
        detector: in training form; one that is in deploy form already is copied.
        tolerance: largest difference of a logit that is accepted.
        merge: whether RepConv becomes one convolution; the original's deploy files keep its branches.

    Returns:
        A detector in eval mode, float32, with an attribute `agreement` that says how well the outputs agree.

    Raises:
        SpecError: if the head is ultralytics' own, which has no deploy form here.
        FormsDisagree: if the outputs differ by more than the tolerance.

    Source:
        Ding et al., RepVGG, arXiv:2101.03697; Wang et al., YOLOv7, arXiv:2207.02696.
    """
    if not detector.spec.has_anchors:
        raise SpecError(
            f"{detector.spec.label}: its head ({detector.spec.head.module}) has no deploy form; export it as it is"
        )
    work = deepcopy(detector).float().eval()
    for module in work.modules():
        if isinstance(module, ImplicitHead) or (merge and isinstance(module, RepConv)):
            module.fuse()
    deployed = Detector(deploy_spec(detector.spec, merge=merge), detector.names, detector.hyp)
    if work.is_fused():
        deployed.fuse()
    deployed.load_state_dict(_state(work, deployed.spec))
    deployed.to(next(work.parameters()).device).eval()
    agreement = compare_detectors(detector, deployed, tolerance)
    if not agreement.holds:
        raise FormsDisagree(f"the deploy form of {detector.spec.name} does not compute the same: {agreement}")
    deployed.agreement = agreement
    return deployed


def deploy_spec(spec: ModelSpec, *, merge: bool = True) -> ModelSpec:
    """Return the deploy form of a model: a plain head, nothing that only auxiliary outputs read.

    Args:
        spec: the training form.
        merge: whether RepConv rows ask for the merged form.
    """
    description = {key: value for key, value in spec.yaml.items() if key != "attention"}
    base = read_spec(description).layers
    levels = len(spec.anchors) if spec.anchors else len(base[-1].reads)
    kept = _reached(base, levels)
    index = {layer.name: i for i, layer in enumerate(kept)}
    written = [*spec.yaml["backbone"], *spec.yaml["head"]]
    rows: dict[str, list[Any]] = {"backbone": [], "head": []}
    for layer in kept:
        section = "backbone" if layer.section == "backbone" else "head"
        rows[section].append(_row(layer, written[int(layer.name)], index, levels, merge))
    entries = [_entry(entry, base, index) for entry in spec.yaml.get("attention", ())]
    description.update(rows, attention=[entry for entry in entries if entry], yaml_file=spec.label)
    return read_spec(description)


def compare_detectors(one: Detector, other: Detector, tolerance: float, size: tuple[int, int] = (4, 5)) -> Agreement:
    """Run both on one image of noise.

    Args:
        one: a detector; neither is changed.
        other: another.
        tolerance: what the result is to be held against.
        size: height and width of the image in units of the largest stride.
    """
    stride = int(one.stride.max())
    generator = torch.Generator().manual_seed(0)
    image = torch.rand((1, one.spec.ch, *(side * stride for side in size)), generator=generator)
    decoded, raw = _run(one, image)
    other_decoded, other_raw = _run(other, image)
    logits = [(a - b).abs().max() for a, b in zip(raw, other_raw, strict=True)]
    difference = (decoded - other_decoded).abs()
    return Agreement(
        float(torch.stack(logits).max()), float(difference[:, :4].max()), float(difference[:, 4:].max()), tolerance
    )


@torch.no_grad()
def _run(detector: Detector, image: Tensor) -> tuple[Tensor, Sequence[Tensor]]:
    work = deepcopy(detector).float().eval()
    with without_tf32():
        decoded, raw = work(image.to(next(work.parameters()).device))
    return decoded, raw


def _reached(layers: Sequence[Layer], levels: int) -> list[Layer]:
    """Return the head and the layers from which the first `levels` of the maps that it reads are computed."""
    by_name = {layer.name: layer for layer in layers}
    pending, found = list(layers[-1].reads[:levels]), {layers[-1].name}
    while pending:
        name = pending.pop()
        if name not in found and name != IMAGE:
            found.add(name)
            pending += by_name[name].reads
    return [layer for layer in layers if layer.name in found]


def _row(layer: Layer, written: Sequence[Any], index: Mapping[str, int], levels: int, merge: bool) -> list[Any]:
    """Return a row with absolute references, in the deploy form of its module."""
    _, number, module, args = written[:4]
    reads = [index.get(name, -1) for name in layer.reads]  # -1: the image
    if layer.section == "head":
        reads, module = reads[:levels], PLAIN.get(module, module)
    if module == "RepConv" and merge:
        args = [*args, *_REP_CONV[len(args) :], True][:7]
    return [reads if layer.reads_list else reads[0], number, module, args, *written[4:]]


def _entry(entry: Mapping[str, Any], base: Sequence[Layer], index: Mapping[str, int]) -> dict[str, Any] | None:
    """Return an attention entry with row numbers of the deploy form; None if all its places are gone."""
    form = next(form for form in FORMS if form in entry)
    aliases = {layer.alias for layer in base if layer.alias}
    places: list[int | str] = []
    for selector in entry[form]:
        if (
            isinstance(selector, str)
            and selector.isidentifier()
            and selector not in aliases
            and not _is_type(selector, base)
        ):
            places.append(selector)  # the name of other placed attention
            continue
        found = [layer.name for layer in select_layers(base, [selector], str(entry))]
        places += [index[name] for name in found if name in index]
    gone = not places or (form == "between" and len(places) < 2)
    return None if gone else {**entry, form: places}


def _is_type(selector: str, base: Sequence[Layer]) -> bool:
    return any(selector in (layer.module, layer.attention and layer.attention.module) for layer in base)


def _state(work: Detector, spec: ModelSpec) -> dict[str, Tensor]:
    """Return the tensors under the names that the layers have in the deploy form."""
    names = {}
    for old, new in zip(_reached(work.spec.layers, len(spec.head.reads)), spec.layers, strict=True):
        if old.module != new.module and PLAIN.get(old.module) != new.module:
            raise RuntimeError(f"layer {old.name} ({old.module}) became {new.name} ({new.module}) in deploy form")
        names[old.name] = new.name
    state = {}
    for key, value in work.state_dict().items():
        _, layer, rest = key.split(".", 2)
        if layer in names and not (layer == work.spec.head.name and rest.startswith(_TRAINING_ONLY)):
            state[f"model.{names[layer]}.{rest}"] = value
    return state
